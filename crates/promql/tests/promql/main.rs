//! PromQL from outside: what parses, how it prints, what it evaluates to.

mod anything;
mod cases;
mod conformance;
mod evaluation;
mod grammar;
mod oracle;
mod printing;
mod script;
