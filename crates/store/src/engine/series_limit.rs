//! Whether one more series may come: which series of a tenant are active, and how many may be.
//!
//! A decision of the moment, so it is made before a request is appended and kept with it; replay
//! repeats the decision and not the count. A series that is active goes on whatever the limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::time::NANOS_PER_SECOND;
use model::{Encoding, Labels, Signal, TenantId};
use promql::Window;
use tokio::sync::OnceCell;
use wire::metric_batch::{BatchSeries, LabelHasher};
use wire::{MetricBatch, RejectReason, Rejected};

use super::{Inner, Store};
use crate::config::SeriesConfig;
use crate::ingest::IngestRequest;

/// A series without a sample for so many minutes is not active any more.
const ACTIVE_MINUTES: i64 = 60;
const MINUTE_NANOS: i64 = 60 * NANOS_PER_SECOND;
const MINUTE_MS: i64 = 60_000;

/// The active series of all tenants; empty when there is no limit.
#[derive(Debug, Default)]
pub(super) struct SeriesLimits {
    tenants: Mutex<HashMap<TenantId, Arc<ActiveSeries>>>,
}

/// The active series of one tenant. About 40 bytes for each.
#[derive(Debug)]
pub(super) struct ActiveSeries {
    limits: SeriesConfig,
    /// Whether what is stored was looked at.
    known: OnceCell<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By the hash of its labels: the hash of the metric's name and the last minute with a sample.
    series: HashMap<u64, (u64, i64)>,
    /// How many there are of each metric, by the hash of its name.
    of_metric: HashMap<u64, usize>,
    /// The minute in which idle series were forgotten last.
    swept: i64,
}

impl SeriesLimits {
    fn of(&self, tenant: &TenantId, limits: &SeriesConfig) -> Arc<ActiveSeries> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            Arc::new(ActiveSeries {
                limits: limits.clone(),
                known: OnceCell::new(),
                state: Mutex::default(),
            })
        };
        Arc::clone(tenants.entry(tenant.clone()).or_insert_with(make))
    }

    /// Updates the metrics about active series; `now` is Unix ns.
    pub(super) fn report(&self, now: i64) {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        for (tenant, active) in tenants.iter() {
            let series = active.count(now) as f64;
            metrics::gauge!("watchkeeper_active_series", "tenant" => tenant.to_string())
                .set(series);
        }
    }
}

impl Inner {
    /// The active series that a request's are counted among; `None` when they are not counted.
    pub(super) async fn active_series(
        self: &Arc<Self>,
        request: &IngestRequest,
    ) -> Option<Arc<ActiveSeries>> {
        let limits = &self.config.series;
        let is_limited = limits.per_tenant.is_some() || limits.per_metric.is_some();
        // What rules write is ours to bound, and an alert must not get lost.
        let is_counted = request.signal == Signal::Metrics
            && request.encoding != Encoding::DerivedSamples
            && is_limited;
        if !is_counted {
            return None;
        }
        let active = self.series_limits.of(&request.tenant, limits);
        let fill = || self.fill(&active, &request.tenant, request.received_at);
        active.known.get_or_init(fill).await;
        Some(active)
    }

    /// Counts what is stored of the last hour: after a restart, the series that were active before.
    async fn fill(self: &Arc<Self>, active: &Arc<ActiveSeries>, tenant: &TenantId, now: i64) {
        let minute = now / MINUTE_NANOS;
        let window = Window::new((minute - ACTIVE_MINUTES) * MINUTE_MS, i64::MAX);
        let store = Store {
            inner: Arc::clone(self),
        };
        let counted = match store.series(tenant).in_window(window).await {
            Ok(snapshot) => {
                let active = Arc::clone(active);
                let count = move |labels: &Labels, last_ms: i64| {
                    let last = last_ms.div_euclid(MINUTE_MS).min(minute);
                    active.state().insert(SeriesKey::of(labels), last);
                };
                snapshot.each_series(window, count).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = counted {
            // Samples matter more than their count: what comes in is counted from here on.
            tracing::warn!(%tenant, %error, "the series that were active could not be counted");
        }
    }
}

impl ActiveSeries {
    /// Counts the series of a request that arrived at `now` (Unix ns); the items that would bring
    /// too many, by ordinal.
    pub(super) fn refused(&self, mut samples: Vec<SampleOf>, now: i64) -> Vec<Rejected> {
        let minute = now / MINUTE_NANOS;
        // A point's samples may lie apart, and it is kept with all of them or not at all.
        samples.sort_by_key(|sample| sample.ordinal);
        let mut state = self.state();
        state.forget_idle(minute);
        let mut refused = Vec::new();
        let mut new: Vec<SeriesKey> = Vec::new();
        for item in samples.chunk_by(|a, b| a.ordinal == b.ordinal) {
            new.clear();
            for sample in item {
                if !state.touch(sample.series, minute) {
                    new.push(sample.series);
                }
            }
            // A histogram's point may have very many series.
            new.sort_unstable();
            new.dedup();
            match state.reason_against(&new, &self.limits) {
                Some(reason) => refused.push(Rejected {
                    ordinal: item[0].ordinal,
                    reason,
                }),
                None => new.iter().for_each(|key| state.insert(*key, minute)),
            }
        }
        refused
    }

    fn count(&self, now: i64) -> usize {
        let mut state = self.state();
        state.forget_idle(now / MINUTE_NANOS);
        state.series.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A series as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    /// Hash of its metric's name.
    metric: u64,
    /// Hash of its labels.
    labels: u64,
}

/// The series of a sample or exemplar, and the item that it is a part of.
#[derive(Debug, Clone, Copy)]
pub(super) struct SampleOf {
    pub(super) ordinal: u32,
    pub(super) series: SeriesKey,
}

/// The samples of a request, and the exemplars that come without one: they make a series, too.
/// Their labels are hashed already, so none are made.
pub(super) fn samples_of(batch: &MetricBatch) -> Vec<SampleOf> {
    let mut samples = Vec::new();
    batch.each_series(|series, own| {
        let series = SeriesKey::of_incoming(&series);
        samples.extend(own.map(|ordinal| SampleOf { ordinal, series }));
    });
    samples
}

impl SeriesKey {
    fn of(labels: &Labels) -> Self {
        let hasher = LabelHasher::of_process();
        let name = labels.metric_name().unwrap_or_default();
        Self {
            labels: hasher.labels(labels),
            metric: hasher.bytes(name.as_bytes()),
        }
    }

    /// The same of a series that came in.
    fn of_incoming(series: &BatchSeries<'_>) -> Self {
        let name = series.metric_name();
        Self {
            labels: series.hash(),
            metric: LabelHasher::of_process().bytes(name.as_bytes()),
        }
    }
}

impl State {
    /// Notes a sample of a series; whether the series is active already.
    fn touch(&mut self, key: SeriesKey, minute: i64) -> bool {
        match self.series.get_mut(&key.labels) {
            Some((_, last)) => {
                *last = minute.max(*last);
                true
            }
            None => false,
        }
    }

    /// Why the series `new`, which are sorted, may not come together.
    fn reason_against(&self, new: &[SeriesKey], limits: &SeriesConfig) -> Option<RejectReason> {
        if new.is_empty() {
            return None;
        }
        let is_over = |limit: Option<usize>, count: usize| limit.is_some_and(|most| count > most);
        if is_over(limits.per_tenant, self.series.len() + new.len()) {
            return Some(RejectReason::TooManySeries);
        }
        let of_metric = |coming: &[SeriesKey]| {
            let active = self.of_metric.get(&coming[0].metric).copied();
            active.unwrap_or_default() + coming.len()
        };
        new.chunk_by(|a, b| a.metric == b.metric)
            .any(|coming| is_over(limits.per_metric, of_metric(coming)))
            .then_some(RejectReason::TooManySeriesOfMetric)
    }

    fn insert(&mut self, key: SeriesKey, minute: i64) {
        if self.touch(key, minute) {
            return;
        }
        self.series.insert(key.labels, (key.metric, minute));
        *self.of_metric.entry(key.metric).or_default() += 1;
    }

    fn forget_idle(&mut self, minute: i64) {
        if minute <= self.swept {
            return;
        }
        self.swept = minute;
        let of_metric = &mut self.of_metric;
        self.series.retain(|_, (name, last)| {
            let is_active = *last > minute - ACTIVE_MINUTES;
            if !is_active && let Some(count) = of_metric.get_mut(name) {
                *count -= 1;
            }
            is_active
        });
        of_metric.retain(|_, count| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use model::metric::Temporality;
    use model::{SampleValue, SeriesSample};

    use super::*;

    fn labels(metric: &str, pod: &str) -> Labels {
        Labels::new([("__name__", metric), ("pod", pod)])
    }

    fn active(per_tenant: Option<usize>, per_metric: Option<usize>) -> ActiveSeries {
        ActiveSeries {
            limits: SeriesConfig {
                per_tenant,
                per_metric,
            },
            known: OnceCell::new(),
            state: Mutex::default(),
        }
    }

    fn refused(
        active: &ActiveSeries,
        items: &[(u32, Labels)],
        minute: i64,
    ) -> Vec<(u32, &'static str)> {
        let sample = |(ordinal, labels): &(u32, Labels)| SampleOf {
            ordinal: *ordinal,
            series: SeriesKey::of(labels),
        };
        let samples = items.iter().map(sample).collect();
        let refused = active.refused(samples, minute * MINUTE_NANOS).into_iter();
        refused
            .map(|item| (item.ordinal, item.reason.as_str()))
            .collect()
    }

    #[test]
    fn new_series_are_refused_at_the_limit_and_active_ones_go_on() {
        let active = active(Some(3), None);
        let first = [(0, labels("a", "1")), (1, labels("a", "2"))];
        assert!(refused(&active, &first, 100).is_empty());
        // A point of two series comes whole or not at all.
        let second = [
            (4, labels("b", "1")),
            (4, labels("b", "2")),
            (5, labels("a", "3")),
        ];
        assert_eq!(refused(&active, &second, 110), [(4, "too_many_series")]);
        assert!(refused(&active, &first[..1], 159).is_empty());
        assert_eq!(active.count(159 * MINUTE_NANOS), 3);
        // After an hour without a sample, a series makes room for another.
        let third = [(0, labels("b", "1")), (1, labels("b", "2"))];
        assert_eq!(refused(&active, &third, 160), [(1, "too_many_series")]);
        assert_eq!(active.count(169 * MINUTE_NANOS), 3);
        assert_eq!(active.count(170 * MINUTE_NANOS), 2);
    }

    #[test]
    fn a_series_of_a_request_is_the_one_of_its_labels() {
        let sample = |labels: Labels| SeriesSample {
            labels,
            timestamp_ms: 1,
            start_ms: None,
            temporality: Temporality::Cumulative,
            value: SampleValue::Float(1.0),
            exemplars: Vec::new(),
        };
        let all = [labels("a", "1"), Labels::new([("pod", "1")])];
        let batch = MetricBatch::of_samples((3..).zip(all.clone().map(sample)));
        let found = samples_of(&batch).into_iter();
        let found: Vec<_> = found.map(|found| (found.ordinal, found.series)).collect();
        let expected = (3..).zip(all.iter().map(SeriesKey::of));
        assert_eq!(found, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_series_of_exemplars_alone_counts() {
        // Remote write 1.0: the series `up` with an exemplar at 1 ms.
        let body = b"\x0a\x14\x0a\x0e\x0a\x08__name__\x12\x02up\x1a\x02\x18\x01";
        let body = bytes::Bytes::from_static(body);
        let batch = wire::read_metrics(Encoding::RemoteWriteV1, &body, 0).unwrap();
        let found = samples_of(&batch);
        assert_eq!(found.len(), 1);
        let up = Labels::new([("__name__", "up")]);
        assert_eq!(found[0].series, SeriesKey::of(&up));
    }

    #[test]
    fn metrics_have_a_limit_of_their_own() {
        let active = active(None, Some(2));
        let items: Vec<(u32, Labels)> = (0..4)
            .map(|n| (n, labels("a", &n.to_string())))
            .chain([(9, labels("b", "1"))])
            .collect();
        let reason = "too_many_series_of_metric";
        assert_eq!(refused(&active, &items, 1), [(2, reason), (3, reason)]);
        let point = [labels("c", "1"), labels("c", "2"), labels("c", "3")].map(|l| (0, l));
        assert_eq!(refused(&active, &point, 1), [(0, reason)]);
        assert!(refused(&active, &point[..2], 1).is_empty());
    }
}
