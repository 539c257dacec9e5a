//! The demo's parts and the whole of it, as real processes.

mod compose;
mod mail;
