//! The pieces behind `cargo xtask`: real processes around the server, for the demo and for
//! end-to-end tests alike.
//!
//! [`postgres`], [`mail`] and [`traffic`] are the server's surroundings; [`demo`] puts them
//! together and [`fault`] breaks them; [`children`] owns every process we start.

pub mod checks;
pub mod children;
pub mod demo;
pub mod dependencies;
pub mod fault;
pub mod gate;
pub mod mail;
pub mod own_metrics;
pub mod postgres;
pub mod prerequisite;
pub mod traffic;
pub mod workspace;
