//! Telemetry formats ↔ the model. Pure functions: bytes in, model types out, and back.
//!
//! Protobuf and JSON message types stop here: no other crate sees them. Receivers and the replay
//! of the ingest log call the same decoders, so a decoder's answer depends on its arguments
//! alone: it reads no clock, and an item's ordinal is its index among the items of the body.

pub mod admission;
pub mod compression;
pub mod derived;
pub mod otlp;
pub mod rpc;

pub use admission::{RejectReason, Rejected, Window};
pub use compression::{Compression, DecompressError, decompress};
