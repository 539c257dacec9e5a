//! The query languages, run over small tables in memory.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod logql;
mod logql_differential;
mod logql_syntax;
mod plans;
mod search;
mod search_syntax;
mod sql;
mod table;
