//! The task API as its users see it: the real binary on a free port, its telemetry received by
//! a real OTLP server.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod process;
mod receiver;

mod faults;
mod replication;
mod tasks;
mod telemetry;
