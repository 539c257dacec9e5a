//! LogQL, Loki's query language, over the table `logs`.
//!
//! In reading order: the syntax tree ([`ast`]) and its parser ([`parse`]); how a record becomes
//! labels and a line; what of a query the table answers and what runs line by line; evaluation
//! ([`LogSource`], [`query_range`], [`query_instant`]) and its results in Loki's JSON form
//! ([`answer`]); look-ups of labels and streams ([`label_names`], [`label_values`], [`series`]),
//! of sizes ([`volume()`], [`index_stats`]) and of what lines hold ([`detected_labels`],
//! [`detected_fields`], [`patterns()`]).
//!
//! Windows are left-open, `(t − range, t]`, as in Loki; evaluation happens at exactly
//! `start + k·step`.

mod addresses;
pub mod answer;
pub mod ast;
mod detected;
mod evaluate;
mod gather;
mod json_text;
mod labels;
mod lexer;
mod line_pattern;
mod logfmt;
pub mod parser;
mod patterns;
mod pipeline;
mod pushdown;
mod streams;
mod template;
mod values;
mod volume;
mod windows;

pub use answer::{Answer, Line, QueryResponse, TailFrame};
pub use detected::{DetectedField, FieldType, detected_fields, detected_values};
pub use evaluate::{
    Direction, Limits, LogQlError, LogQuery, LogSource, Outcome, RangeRequest, format_query,
    query_instant, query_range,
};
pub use parser::{parse, parse_selector};
pub use patterns::{PatternSeries, patterns};
pub use streams::{detected_labels, label_names, label_values, series};
pub use volume::{IndexStats, VolumeRequest, index_stats, volume};
