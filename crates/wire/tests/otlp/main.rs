//! What the OTLP decoders promise, against `opentelemetry-proto`'s messages as the oracle.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod generate;
mod json;
mod malformed;
mod metrics;
mod round_trip;
