//! Log records.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{SpanId, TraceId};
use crate::resource::{Resource, Scope};
use crate::value::{Attributes, Value};

/// One log record with everything OTLP says of it.
///
/// Records of one request share their resource and scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When it happened, Unix ns; already resolved to the observed or the receive time when the
    /// sender gave none.
    pub timestamp: i64,
    /// When it was first seen, Unix ns; 0 when not sent.
    pub observed_timestamp: i64,
    /// OTLP's severity number, 0 (unset) to 24 by the specification; any other value is kept.
    pub severity_number: i32,
    /// The source's own word for the severity; empty when not sent.
    pub severity_text: String,
    /// The message.
    pub body: Value,
    /// The record's attributes.
    pub attributes: Attributes,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// The trace it belongs to.
    pub trace_id: Option<TraceId>,
    /// The span it belongs to.
    pub span_id: Option<SpanId>,
    /// W3C trace flags in the low 8 bits.
    pub flags: u32,
    /// The name of the event, empty for plain records.
    pub event_name: String,
    /// Who produced it.
    pub resource: Arc<Resource>,
    /// The library that emitted it.
    pub scope: Arc<Scope>,
}

/// The six names of severity that searches and histograms use, by OTLP's ranges of four.
///
/// 1–4 `trace`, 5–8 `debug`, 9–12 `info`, 13–16 `warn`, 17–20 `error`, 21–24 `fatal`; anything
/// else is `unset`.
pub fn severity_name(number: i32) -> &'static str {
    match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => "unset",
    }
}

/// The lowest OTLP severity number of a named level; accepts common aliases in any case.
pub fn severity_from_name(name: &str) -> Option<i32> {
    const NAMES: [(i32, &[&str]); 7] = [
        (0, &["unset", "unspecified"]),
        (1, &["trace", "trc", "verbose"]),
        (5, &["debug", "dbg"]),
        (
            9,
            &["info", "information", "informational", "inf", "notice"],
        ),
        (13, &["warn", "warning", "wrn"]),
        (17, &["error", "err", "severe"]),
        (
            21,
            &[
                "fatal",
                "critical",
                "crit",
                "ftl",
                "emergency",
                "emerg",
                "alert",
                "panic",
                "dpanic",
            ],
        ),
    ];
    NAMES
        .iter()
        .find(|(_, names)| names.iter().any(|known| name.eq_ignore_ascii_case(known)))
        .map(|(number, _)| *number)
}

/// The OTLP severity number of a syslog severity, 0 (emergency) to 7 (debug), as OpenTelemetry's
/// log data model maps them.
pub fn severity_of_syslog(severity: u8) -> i32 {
    match severity {
        0 => 21,
        1 => 19,
        2 => 18,
        3 => 17,
        4 => 13,
        5 => 10,
        6 => 9,
        _ => 5,
    }
}
