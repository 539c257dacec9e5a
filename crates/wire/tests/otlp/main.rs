//! What the OTLP decoders promise, against `opentelemetry-proto`'s messages as the oracle.

mod generate;
mod json;
mod malformed;
mod metrics;
mod round_trip;
