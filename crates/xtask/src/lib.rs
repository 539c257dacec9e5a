//! The pieces behind `cargo xtask`: real processes around the server, for the demo and for
//! end-to-end tests alike.
//!
//! [`postgres`], [`mail`] and [`traffic`] are the server's surroundings; [`demo`] puts them
//! together and [`fault`] breaks them; [`children`] owns every process we start.

pub mod children;
pub mod postgres;
