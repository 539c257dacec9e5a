//! What a record of the ingest log is about: its signal and the encoding of its body.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of the three kinds of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Log records.
    Logs,
    /// Spans.
    Spans,
    /// Metric samples.
    Metrics,
}

impl Signal {
    /// Every signal, in the order of their on-disk codes.
    pub const ALL: [Self; 3] = [Self::Logs, Self::Spans, Self::Metrics];

    /// `logs`, `spans` or `metrics`: the word in file paths, the catalog and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Spans => "spans",
            Self::Metrics => "metrics",
        }
    }

    /// The byte that stands for it in the ingest log.
    pub fn code(self) -> u8 {
        match self {
            Self::Logs => 1,
            Self::Spans => 2,
            Self::Metrics => 3,
        }
    }

    /// Reads [`Signal::code`].
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.code() == code)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|signal| signal.as_str() == text)
            .ok_or_else(|| format!("unknown signal {text:?}; expected logs, spans or metrics"))
    }
}

/// How the body of an ingest-log record is encoded. The codes are on disk and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// An OTLP `Export…ServiceRequest` in protobuf.
    OtlpProtobuf,
    /// An OTLP `Export…ServiceRequest` in OTLP's JSON.
    OtlpJson,
    /// Samples we derived ourselves (recording rules, `ALERTS`): JSON of [`crate::SeriesSample`]s.
    DerivedSamples,
    /// Loki's `PushRequest` in protobuf, without its snappy.
    LokiProtobuf,
    /// Loki's push request in JSON.
    LokiJson,
    /// Elasticsearch's `_bulk`, behind a line with the path's index.
    ElasticsearchBulk,
    /// A batch of syslog messages, each behind its length and its sender.
    Syslog,
    /// Prometheus' `prometheus.WriteRequest` (remote write 1.0), without its snappy.
    RemoteWriteV1,
    /// Prometheus' `io.prometheus.write.v2.Request` (remote write 2.0), without its snappy.
    RemoteWriteV2,
}

impl Encoding {
    /// Every encoding, in the order of their codes.
    pub const ALL: [Self; 9] = [
        Self::OtlpProtobuf,
        Self::OtlpJson,
        Self::DerivedSamples,
        Self::LokiProtobuf,
        Self::LokiJson,
        Self::ElasticsearchBulk,
        Self::Syslog,
        Self::RemoteWriteV1,
        Self::RemoteWriteV2,
    ];

    /// The byte that stands for it in the ingest log.
    pub fn code(self) -> u8 {
        match self {
            Self::OtlpProtobuf => 1,
            Self::OtlpJson => 2,
            Self::DerivedSamples => 3,
            Self::LokiProtobuf => 4,
            Self::LokiJson => 5,
            Self::ElasticsearchBulk => 6,
            Self::Syslog => 7,
            Self::RemoteWriteV1 => 8,
            Self::RemoteWriteV2 => 9,
        }
    }

    /// Reads [`Encoding::code`].
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.code() == code)
    }
}
