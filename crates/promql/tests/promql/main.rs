//! PromQL from outside: what parses, how it prints, what it evaluates to.

mod conformance;
mod grammar;
mod oracle;
mod printing;
mod script;
