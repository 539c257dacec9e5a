//! PromQL: a parser that knows where everything stands, and an evaluator over any source of series.
//!
//! Nothing here does I/O, reads a clock or leaves a task or thread behind. [`parse()`] turns text
//! into an [`Expr`] whose nodes carry the bytes they were written in; [`instant()`] and [`range()`]
//! evaluate it over a [`SeriesSource`], which the store implements and [`memory::MemorySource`]
//! implements for tests.
//!
//! The language is Prometheus 3's, with everything that it calls experimental.

pub mod ast;
mod error;
pub mod eval;
pub mod functions;
pub mod matching;
pub mod memory;
mod parser;
mod pretty;
mod printer;
pub mod series_notation;
mod source;
pub mod source_suite;
mod span;
mod value;

pub use ast::Expr;
pub use error::ParseError;
pub use eval::{CancelFlag, ErrorKind, EvalError, EvalOptions, Limits, instant, range};
pub use parser::{MAX_DEPTH, parse, parse_selector};
pub use pretty::pretty;
pub use source::{Names, SelectLimits, SeriesSource, SourceError, Window};
pub use span::Span;
pub use value::{
    Annotation, Annotations, FloatColumn, HistogramColumn, QueryResult, QueryValue, Series,
    Severity, VectorSample,
};
