//! What alerting promises, seen from outside the crate.

mod conformance;
mod templates;
