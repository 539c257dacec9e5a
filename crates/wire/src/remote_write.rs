//! Prometheus remote write: `prometheus.WriteRequest` (1.0) and `io.prometheus.write.v2.Request`
//! (2.0), without the snappy that they travel in.
//!
//! Both carry series with their samples, native histograms and exemplars, and describe metric
//! families. 1.0 spells every label out; 2.0 numbers its strings.

mod encode;
mod family;

pub use encode::encode;
