//! What telemetry is: records, spans, series, labels, identifiers and time.
//!
//! Pure data shared by every other crate. Nothing here does I/O, reads a clock or knows a wire
//! format: `wire` turns bytes into these types, `store` keeps them, the APIs print them.
//!
//! Times are Unix nanoseconds (`i64`) for logs and spans and Unix milliseconds (`i64`) for
//! samples, always UTC, and say so in their field names' docs.

pub mod histogram;
pub mod id;
pub mod ingest;
pub mod json;
pub mod labels;
pub mod level;
pub mod log;
pub mod metric;
pub mod resource;
pub mod span;
pub mod stream;
pub mod tenant;
pub mod time;
pub mod value;

pub use histogram::NativeHistogram;
pub use id::{Seq, SpanId, TraceId};
pub use ingest::{Encoding, Signal};
pub use labels::{Labels, MatchOp, Matcher};
pub use log::LogRecord;
pub use metric::{Exemplar, MetricMetadata, MetricType, SampleValue, SeriesSample};
pub use resource::{Resource, Scope};
pub use span::{Span, SpanEvent, SpanKind, SpanLink, StatusCode};
pub use tenant::TenantId;
pub use time::TimeRange;
pub use value::{Attributes, Value};
