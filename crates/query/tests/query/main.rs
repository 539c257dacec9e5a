//! The query languages, run over small tables in memory.

mod logql;
mod logql_syntax;
mod plans;
mod search;
mod search_syntax;
mod sql;
mod table;
