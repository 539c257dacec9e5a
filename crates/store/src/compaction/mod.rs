//! Small splits become larger ones in the background.
//!
//! Splits of one tenant, signal and retention that are neighbours in the ingest log are merged by
//! [`crate::split::merge`]: full row groups are copied, so it costs little more than reading and
//! writing them. [`choose`] decides which, and sees to it that each row is rewritten a few times at
//! most and that splits do not come to cover long times.
//!
//! Splits of metrics are merged by [`crate::metrics::split::merge`], series by series. What is over
//! of metrics that are kept shorter than others is left out on that occasion; [`Ages`] says when a
//! split is made anew for it.

mod ages;
mod choose;

pub(crate) use ages::Ages;
pub(crate) use choose::{Candidate, Choice, Goals, choose};
