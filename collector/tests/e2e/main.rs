//! The real binary, through its ports only.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod crash;
mod docs;
mod elasticsearch;
mod grpc;
mod levels;
mod logs_api;
mod loki;
mod loki_push;
mod malformed;
mod otlp;
mod prometheus;
mod remote_write;
mod rules;
mod scrape;
mod series_limit;
mod server;
mod shippers;
mod start;
mod storage;
mod syslog;
mod telemetry;
mod wild;
