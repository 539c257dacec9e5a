//! The table of PromQL's functions: names and signatures, checked when a query is parsed.

use crate::ast::ValueType;

/// A function's name and signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// The name as written, lowercase.
    pub name: &'static str,
    /// The types of the arguments; with `variadic`, the last one repeats or may be left out.
    pub args: &'static [ValueType],
    /// How many arguments may be left out or added.
    pub variadic: Variadic,
    /// The type of the result.
    pub returns: ValueType,
    /// Whether Prometheus calls it experimental.
    pub experimental: bool,
}

/// How the number of arguments may differ from the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variadic {
    /// Exactly as many as the signature has.
    No,
    /// The last may be left out.
    LastOptional,
    /// The last may be left out or repeated up to so many times in all.
    LastUpTo(usize),
    /// The last may be left out or repeated at will.
    LastAnyTimes,
}
