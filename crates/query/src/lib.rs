//! Query languages over logs and spans: text in, DataFusion plans and results out.
//!
//! In reading order: the logical tables ([`schema`]), how values become text ([`text`]) and where
//! values inside of values are ([`nested`]); words ([`words`]), patterns of texts ([`glob`],
//! [`expression`]) and of columns of texts ([`matcher`]), terms ([`term_pattern`]) and words in a
//! row ([`phrase`]); the functions on text ([`functions`]) and what a filter asks of an index
//! ([`lookup`]); then the languages: the search syntax ([`search`]) and its plans ([`plans`]), SQL
//! over attributes ([`sql`]) and LogQL ([`logql`]).
//!
//! Nothing here does I/O or reads a clock: `store` executes the plans, the APIs print the results,
//! and relative times take `now` as an argument.

pub mod error;
pub mod expression;
pub mod functions;
pub mod glob;
pub mod logql;
pub mod lookup;
pub mod matcher;
pub mod nested;
pub mod patterns;
pub mod phrase;
pub mod plans;
pub mod schema;
pub mod search;
pub mod severity;
pub mod sql;
pub mod term_pattern;
pub mod text;
pub mod units;
pub mod value_counts;
pub mod words;

pub use error::{Span, SyntaxError};
