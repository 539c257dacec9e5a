//! From a body to the rows that are kept: decided when a request arrives, repeated at replay.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{Encoding, Signal};
use wire::otlp::{self, DecodeError, Origins};
use wire::{Rejected, SampleCounts, Window};

use super::series_limit::{ActiveSeries, SampleOf, SeriesKey};
use crate::error::IngestError;
use crate::head::tenant::Batch;
use crate::ingest::{IngestOutcome, IngestRequest, RejectedCount};
use crate::log::Entry;

/// A request's rows and the decisions about the others.
pub(super) struct Admitted {
    pub(super) batch: Batch,
    pub(super) outcome: IngestOutcome,
    /// Ordinals of items that were refused for when they came, ascending: what the log keeps.
    pub(super) refused: Vec<u32>,
}

impl Admitted {
    /// Whether nothing is left to keep. A body may carry descriptions of metrics alone.
    pub(super) fn is_empty(&self) -> bool {
        let describes = match &self.batch {
            Batch::Metrics(batch) => batch.points == 0 && !batch.metadata.is_empty(),
            Batch::Logs(_) | Batch::Spans(_) => false,
        };
        self.outcome.accepted == 0 && !describes
    }
}

/// Decodes a new request and refuses items outside of `window`, and those of series that would be
/// too many among the `active` ones.
///
/// # Errors
///
/// The body is no request of this signal and encoding.
pub(super) fn admit(
    request: &IngestRequest,
    window: Window,
    origins: &Origins,
    active: Option<&ActiveSeries>,
) -> Result<Admitted, IngestError> {
    let body = decode(
        request.signal,
        request.encoding,
        &request.body,
        request.received_at,
        origins,
    )
    .map_err(ingest_error)?;
    let mut refused = window.refused(times(&body.batch));
    // A point's samples may lie apart, and exemplars come behind all samples.
    refused.sort_unstable_by_key(|rejected| rejected.ordinal);
    refused.dedup_by_key(|rejected| rejected.ordinal);
    let mut batch = without(body.batch, &ordinals_of(&refused));
    if let (Some(active), Batch::Metrics(metrics)) = (active, &batch) {
        let mut samples = Vec::new();
        metrics.each_series(|series, own| {
            let series = SeriesKey::of_incoming(&series);
            samples.extend(own.iter().map(|sample| SampleOf {
                ordinal: sample.ordinal,
                series,
            }));
        });
        let too_many = active.refused(samples, request.received_at);
        batch = without(batch, &ordinals_of(&too_many));
        refused.extend(too_many);
        refused.sort_unstable_by_key(|item| item.ordinal);
    }
    refused.dedup_by_key(|item| item.ordinal);
    let ordinals = ordinals_of(&refused);
    let mut rejected = body.rejected;
    rejected.extend(refused);
    rejected.sort_unstable_by_key(|item| item.ordinal);
    let count = rejected.len() as u64;
    let written = match &batch {
        Batch::Metrics(batch) => batch.counts(),
        Batch::Logs(_) | Batch::Spans(_) => SampleCounts::default(),
    };
    Ok(Admitted {
        batch,
        outcome: IngestOutcome {
            accepted: u64::from(body.items).saturating_sub(count),
            rejected: count,
            reasons: count_reasons(&rejected),
            refused: rejected,
            written,
            // Known once it is in the log.
            position: 0,
        },
        refused: ordinals,
    })
}

/// Decodes a log record again, with the decisions that were made when it arrived.
///
/// # Errors
///
/// The body cannot be decoded any more, although it could once.
pub(super) fn decode_again(entry: &Entry, origins: &Origins) -> Result<Batch, DecodeError> {
    let body = decode(
        entry.signal,
        entry.encoding,
        &entry.body,
        entry.received_at,
        origins,
    )?;
    Ok(without(body.batch, &entry.rejected))
}

struct Body {
    batch: Batch,
    /// Items in the body, rejected ones included.
    items: u32,
    /// Items that the decoder refuses.
    rejected: Vec<Rejected>,
}

fn decode(
    signal: Signal,
    encoding: Encoding,
    body: &Bytes,
    received_at: i64,
    origins: &Origins,
) -> Result<Body, DecodeError> {
    let count = |kept: usize, rejected: usize| {
        u32::try_from(kept + rejected).expect("the decoder bounds the number of items")
    };
    Ok(match signal {
        Signal::Logs => {
            let decoded = wire::read_logs(encoding, body, received_at, origins)?;
            Body {
                items: count(decoded.items.len(), decoded.rejected.len()),
                batch: Batch::Logs(decoded.items),
                rejected: decoded.rejected,
            }
        }
        Signal::Spans => {
            let decoded = otlp::read_spans(encoding, body, received_at, origins)?;
            Body {
                items: count(decoded.items.len(), decoded.rejected.len()),
                batch: Batch::Spans(decoded.items),
                rejected: decoded.rejected,
            }
        }
        Signal::Metrics => {
            let mut decoded = wire::read_metrics(encoding, body, received_at)?;
            Body {
                items: decoded.points,
                rejected: std::mem::take(&mut decoded.rejected),
                batch: Batch::Metrics(decoded),
            }
        }
    })
}

/// Ordinal and time (Unix ns) of every item.
fn times(batch: &Batch) -> Vec<(u32, i64)> {
    match batch {
        Batch::Logs(items) | Batch::Spans(items) => items
            .iter()
            .map(|(ordinal, item)| (*ordinal, item.time))
            .collect(),
        Batch::Metrics(batch) => batch.times().collect(),
    }
}

/// The items whose ordinals are not among `refused`, which is ascending.
fn without(mut batch: Batch, refused: &[u32]) -> Batch {
    if refused.is_empty() {
        return batch;
    }
    let keep = |ordinal: &u32| refused.binary_search(ordinal).is_err();
    match &mut batch {
        Batch::Logs(items) | Batch::Spans(items) => items.retain(|(ordinal, _)| keep(ordinal)),
        Batch::Metrics(batch) => batch.refuse(refused),
    }
    batch
}

fn ordinals_of(rejected: &[Rejected]) -> Vec<u32> {
    rejected.iter().map(|rejected| rejected.ordinal).collect()
}

fn count_reasons(rejected: &[Rejected]) -> Vec<RejectedCount> {
    let mut counts = BTreeMap::new();
    for item in rejected {
        *counts.entry(item.reason).or_insert(0_u64) += 1;
    }
    let mut reasons: Vec<RejectedCount> = counts
        .into_iter()
        .map(|(reason, count)| RejectedCount { reason, count })
        .collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    reasons
}

fn ingest_error(error: DecodeError) -> IngestError {
    match error {
        DecodeError::TooManyItems { count, limit } => IngestError::TooManyItems { count, limit },
        other => IngestError::Malformed(other.to_string()),
    }
}
