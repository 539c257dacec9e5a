//! Small splits become larger ones in the background.
//!
//! Splits of one tenant, signal and retention that are neighbours in the ingest log are merged by
//! [`crate::split::merge`]: full row groups are copied, so it costs little more than reading and
//! writing them. [`choose`] decides which, and sees to it that each row is rewritten a few times at
//! most and that splits do not come to cover long times.
//!
//! Splits of metrics are left alone: a row of theirs is a series, which merging must join.

mod choose;

pub(crate) use choose::{Candidate, Choice, Goals, choose};
