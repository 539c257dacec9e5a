//! The demo's parts and the whole of it, as real processes.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod compose;
mod mail;
mod whole_loop;
