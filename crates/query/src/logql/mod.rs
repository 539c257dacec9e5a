//! LogQL, Loki's query language, over the table `logs`.
//!
//! In reading order: the syntax tree ([`ast`]) and its parser ([`parse`]); how a record becomes
//! labels and a line; what of a query the table answers and what runs line by line; evaluation
//! ([`LogSource`], [`query_range`], [`query_instant`]) and its results in Loki's JSON form
//! ([`answer`]); look-ups of labels and streams ([`label_names`], [`label_values`], [`series`]).
//!
//! Windows are left-open, `(t − range, t]`, as in Loki; evaluation happens at exactly
//! `start + k·step`.

pub mod answer;
pub mod ast;
mod evaluate;
mod gather;
mod labels;
mod lexer;
pub mod parser;
mod pipeline;
mod pushdown;
mod streams;
mod values;
mod windows;

pub use answer::{Answer, QueryResponse};
pub use evaluate::{
    Direction, Limits, LogQlError, LogSource, Outcome, RangeRequest, query_instant, query_range,
};
pub use parser::{parse, parse_selector};
pub use streams::{label_names, label_values, series};
