//! Log records.

use std::sync::Arc;

use model::{LogRecord, Resource, Scope, SpanId, TraceId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord as WireRecord;

use super::{Decoded, value};
use crate::admission::{RejectReason, Rejected};

pub(super) fn count(request: &ExportLogsServiceRequest) -> usize {
    request
        .resource_logs
        .iter()
        .flat_map(|resource| &resource.scope_logs)
        .map(|scope| scope.log_records.len())
        .sum()
}

pub(super) fn decode(request: ExportLogsServiceRequest, received_at: i64) -> Decoded<LogRecord> {
    let mut decoded = Decoded::with_capacity(count(&request));
    for by_resource in request.resource_logs {
        let resource = Arc::new(value::resource(
            by_resource.resource,
            by_resource.schema_url,
        ));
        for by_scope in by_resource.scope_logs {
            let scope = Arc::new(value::scope(by_scope.scope, by_scope.schema_url));
            for wire in by_scope.log_records {
                decoded.push(record(wire, &resource, &scope, received_at));
            }
        }
    }
    decoded
}

fn record(
    wire: WireRecord,
    resource: &Arc<Resource>,
    scope: &Arc<Scope>,
    received_at: i64,
) -> Result<LogRecord, RejectReason> {
    let time = super::nanos(wire.time_unix_nano)?;
    let observed_timestamp = super::nanos(wire.observed_time_unix_nano)?;
    let timestamp = match (time, observed_timestamp) {
        (0, 0) => received_at,
        (0, observed) => observed,
        (time, _) => time,
    };
    Ok(LogRecord {
        timestamp,
        observed_timestamp,
        severity_number: wire.severity_number,
        severity_text: wire.severity_text,
        body: value::value(wire.body),
        attributes: value::attributes(wire.attributes),
        dropped_attributes_count: wire.dropped_attributes_count,
        // OTLP: a record with an invalid identifier is one without a trace.
        trace_id: TraceId::from_bytes(&wire.trace_id).ok(),
        span_id: SpanId::from_bytes(&wire.span_id).ok(),
        flags: wire.flags,
        event_name: wire.event_name,
        resource: Arc::clone(resource),
        scope: Arc::clone(scope),
    })
}

impl<T> Decoded<T> {
    pub(crate) fn with_capacity(items: usize) -> Self {
        Self {
            items: Vec::with_capacity(items),
            rejected: Vec::new(),
        }
    }

    /// Takes the next item of the body, whose ordinal follows from how many came before.
    pub(crate) fn push(&mut self, item: Result<T, RejectReason>) {
        // Callers bound the count by `Seq::MAX_ITEMS`, far below 2^32.
        let ordinal = (self.items.len() + self.rejected.len()) as u32;
        match item {
            Ok(item) => self.items.push((ordinal, item)),
            Err(reason) => self.rejected.push(Rejected { ordinal, reason }),
        }
    }
}
