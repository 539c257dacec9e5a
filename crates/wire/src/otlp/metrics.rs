//! Metric points as samples of Prometheus series.
//!
//! A gauge's or sum's point is one sample. A point of an explicit histogram becomes the classic
//! `_bucket` (one a bound and `le="+Inf"`), `_sum` and `_count`; of an exponential one a native
//! histogram; of a summary its quantiles, `_sum` and `_count`. The resource gives `job` and
//! `instance`, and its other attributes a `target_info` series.

use std::collections::HashSet;
use std::collections::btree_map::{BTreeMap, Entry};

use model::metric::{
    MetricMetadata, MetricType, SampleValue, SeriesSample, Temporality, stale_nan,
};
use model::time::NANOS_PER_MILLI;
use model::{Attributes, Exemplar, Labels, SpanId, TraceId, labels::METRIC_NAME};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, Exemplar as WireExemplar, HistogramDataPoint, Metric,
    NumberDataPoint, SummaryDataPoint, exemplar, metric::Data, number_data_point,
};

use super::names::{self, Kind};
use super::native::native_histogram;
use super::{DecodeError, value};
use crate::admission::{RejectReason, Rejected};
use crate::metric_batch::MetricBatch;

/// Label pairs that the samples of one body may have in all; a histogram's point repeats its
/// labels for every bucket, so a small body could otherwise fill the memory.
const MAX_LABEL_PAIRS: usize = 1 << 23;
/// Text that these labels may have in all, bytes: each sample has its labels written out.
const MAX_LABEL_BYTES: usize = 256 << 20;

pub(super) fn count(request: &ExportMetricsServiceRequest) -> usize {
    request
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics)
        .flat_map(|scope| &scope.metrics)
        .map(|metric| match &metric.data {
            None => 0,
            Some(Data::Gauge(gauge)) => gauge.data_points.len(),
            Some(Data::Sum(sum)) => sum.data_points.len(),
            Some(Data::Histogram(histogram)) => histogram.data_points.len(),
            Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
            Some(Data::Summary(summary)) => summary.data_points.len(),
        })
        .sum()
}

pub(super) fn decode(
    request: ExportMetricsServiceRequest,
    received_at: i64,
) -> Result<MetricBatch, DecodeError> {
    let mut mapping = Mapping {
        received_at,
        samples: Vec::new(),
        metadata: Vec::new(),
        points: 0,
        rejected: Vec::new(),
        described: HashSet::new(),
        label_pairs: 0,
        label_bytes: 0,
    };
    for by_resource in request.resource_metrics {
        let resource = value::resource(by_resource.resource, by_resource.schema_url);
        let mut target = Target::new(&resource.attributes);
        for metric in by_resource
            .scope_metrics
            .into_iter()
            .flat_map(|scope| scope.metrics)
        {
            mapping.metric(metric, &mut target)?;
        }
        mapping.target_info(&target)?;
    }
    Ok(MetricBatch {
        metadata: mapping.metadata,
        points: mapping.points,
        rejected: mapping.rejected,
        ..MetricBatch::of_samples(mapping.samples)
    })
}

/// What a resource contributes to its points.
struct Target {
    /// `job` and `instance`, as far as the resource names them.
    identity: Vec<(String, String)>,
    /// The labels of `target_info`; `None` when there is nothing to tell.
    info: Option<Labels>,
    /// The times of the resource's points (Unix ms), with the ordinal of the first one.
    times: BTreeMap<i64, u32>,
}

impl Target {
    fn new(attributes: &Attributes) -> Self {
        let name = attributes.get("service.name").map(names::value_text);
        let namespace = attributes.get("service.namespace").map(names::value_text);
        let instance = attributes.get("service.instance.id").map(names::value_text);
        let job = match (namespace, name) {
            (Some(namespace), Some(name)) if !namespace.is_empty() => {
                Some(format!("{namespace}/{name}"))
            }
            (_, name) => name,
        };
        let identity: Vec<(String, String)> = [("job", job), ("instance", instance)]
            .into_iter()
            .filter_map(|(label, value)| Some((label.to_owned(), value?)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let identifying = ["service.name", "service.namespace", "service.instance.id"];
        let others = Attributes(
            attributes
                .0
                .iter()
                .filter(|(key, _)| !identifying.contains(&key.as_str()))
                .cloned()
                .collect(),
        );
        let info = (!identity.is_empty() && !others.is_empty()).then(|| {
            let name = (METRIC_NAME.to_owned(), "target_info".to_owned());
            let labels = names::labels(&others);
            labels
                .into_iter()
                .chain(identity.clone())
                .chain([name])
                .collect()
        });
        Self {
            identity,
            info,
            times: BTreeMap::new(),
        }
    }
}

/// What the points of one metric share.
struct Family {
    name: String,
    temporality: Temporality,
    /// Whether points have a start time that matters: counters and histograms.
    counts: bool,
}

/// One point's share of its samples.
struct Point {
    ordinal: u32,
    timestamp_ms: i64,
    start_ms: Option<i64>,
    temporality: Temporality,
    labels: Vec<(String, String)>,
    stale: bool,
}

struct Mapping {
    received_at: i64,
    samples: Vec<(u32, SeriesSample)>,
    metadata: Vec<MetricMetadata>,
    points: u32,
    rejected: Vec<Rejected>,
    described: HashSet<MetricMetadata>,
    label_pairs: usize,
    label_bytes: usize,
}

impl Mapping {
    fn metric(&mut self, metric: Metric, target: &mut Target) -> Result<(), DecodeError> {
        let Some(data) = metric.data else {
            return Ok(());
        };
        let (kind, type_name, temporality) = classify(&data);
        let name = names::metric_name(&metric.name, &metric.unit, kind);
        let family = match temporality {
            _ if name.is_empty() => Err(RejectReason::InvalidPoint),
            None => Err(RejectReason::NoTemporality),
            Some(temporality) => Ok(Family {
                name,
                temporality,
                counts: type_name != MetricType::Gauge || temporality == Temporality::Delta,
            }),
        };
        if let Ok(family) = &family {
            self.describe(MetricMetadata {
                family: family.name.clone(),
                kind: type_name,
                unit: metric.unit,
                help: metric.description,
            });
        }
        match data {
            Data::Gauge(gauge) => self.numbers(gauge.data_points, &family, target),
            Data::Sum(sum) => self.numbers(sum.data_points, &family, target),
            Data::Histogram(histogram) => {
                self.points(histogram.data_points, &family, target, classic_histogram)
            }
            Data::ExponentialHistogram(histogram) => {
                self.points(histogram.data_points, &family, target, native_histogram)
            }
            Data::Summary(summary) => {
                self.points(summary.data_points, &family, target, summary_series)
            }
        }
    }

    fn describe(&mut self, metadata: MetricMetadata) {
        if self.described.insert(metadata.clone()) {
            self.metadata.push(metadata);
        }
    }

    fn numbers(
        &mut self,
        points: Vec<NumberDataPoint>,
        family: &Result<Family, RejectReason>,
        target: &mut Target,
    ) -> Result<(), DecodeError> {
        self.points(points, family, target, number)
    }

    /// Maps points one by one; a point that cannot be mapped is rejected alone.
    fn points<P: WirePoint>(
        &mut self,
        points: Vec<P>,
        family: &Result<Family, RejectReason>,
        target: &mut Target,
        map: fn(P, &mut Series<'_>) -> Result<(), RejectReason>,
    ) -> Result<(), DecodeError> {
        for mut wire in points {
            let ordinal = self.points;
            self.points += 1;
            let before = self.samples.len();
            let mapped = match family {
                Err(reason) => Err(*reason),
                Ok(family) => self
                    .shared(&mut wire, ordinal, family, target)
                    .and_then(|point| {
                        let time = point.timestamp_ms;
                        let mut series = Series {
                            family,
                            point,
                            samples: &mut self.samples,
                            label_bytes: &mut self.label_bytes,
                        };
                        map(wire, &mut series).map(|()| time)
                    }),
            };
            match mapped {
                Ok(time) => {
                    if let Entry::Vacant(entry) = target.times.entry(time) {
                        entry.insert(ordinal);
                    }
                }
                Err(reason) => {
                    self.samples.truncate(before);
                    self.rejected.push(Rejected { ordinal, reason });
                }
            }
            self.label_pairs += self.samples[before..]
                .iter()
                .map(|(_, sample)| sample.labels.len())
                .sum::<usize>();
            self.check_labels()?;
        }
        Ok(())
    }

    /// Refuses the body when its samples have too many labels or too much text in them.
    fn check_labels(&self) -> Result<(), DecodeError> {
        if self.label_pairs > MAX_LABEL_PAIRS {
            return Err(DecodeError::TooManyLabels {
                limit: MAX_LABEL_PAIRS,
            });
        }
        if self.label_bytes > MAX_LABEL_BYTES {
            return Err(DecodeError::TooHeavy {
                limit: MAX_LABEL_BYTES,
            });
        }
        Ok(())
    }

    fn shared(
        &self,
        wire: &mut impl WirePoint,
        ordinal: u32,
        family: &Family,
        target: &Target,
    ) -> Result<Point, RejectReason> {
        let head = wire.head();
        let time = match super::nanos(head.time)? {
            0 => self.received_at,
            time => time,
        };
        let start = super::nanos(head.start)?;
        let attributes = value::attributes(head.attributes);
        // `job` and `instance` come last: the resource decides who a series belongs to.
        let mut labels = names::labels(&attributes);
        labels.extend(target.identity.iter().cloned());
        Ok(Point {
            ordinal,
            timestamp_ms: time.div_euclid(NANOS_PER_MILLI),
            start_ms: (family.counts && start > 0).then(|| start.div_euclid(NANOS_PER_MILLI)),
            temporality: family.temporality,
            labels,
            stale: head.flags & DataPointFlags::NoRecordedValueMask as u32 != 0,
        })
    }

    fn target_info(&mut self, target: &Target) -> Result<(), DecodeError> {
        let Some(labels) = &target.info else {
            return Ok(());
        };
        let text: usize = labels
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let samples = target.times.len();
        self.label_pairs = self.label_pairs.saturating_add(labels.len() * samples);
        self.label_bytes = self
            .label_bytes
            .saturating_add(text.saturating_mul(samples));
        self.check_labels()?;
        for (&timestamp_ms, &ordinal) in &target.times {
            let sample = SeriesSample {
                labels: labels.clone(),
                timestamp_ms,
                start_ms: None,
                temporality: Temporality::Cumulative,
                value: SampleValue::Float(1.0),
                exemplars: Vec::new(),
            };
            self.samples.push((ordinal, sample));
        }
        if !target.times.is_empty() {
            self.describe(MetricMetadata {
                family: "target_info".to_owned(),
                kind: MetricType::Gauge,
                unit: String::new(),
                help: "Attributes of the resource that sends these metrics".to_owned(),
            });
        }
        Ok(())
    }
}

/// How a metric is named, typed and summed; no temporality when it is not stated.
fn classify(data: &Data) -> (Kind, MetricType, Option<Temporality>) {
    match data {
        Data::Gauge(_) => (
            Kind::Gauge,
            MetricType::Gauge,
            Some(Temporality::Cumulative),
        ),
        Data::Sum(sum) if sum.is_monotonic => (
            Kind::MonotonicSum,
            MetricType::Counter,
            temporality(sum.aggregation_temporality),
        ),
        Data::Sum(sum) => (
            Kind::Other,
            MetricType::Gauge,
            temporality(sum.aggregation_temporality),
        ),
        Data::Histogram(histogram) => (
            Kind::Other,
            MetricType::Histogram,
            temporality(histogram.aggregation_temporality),
        ),
        Data::ExponentialHistogram(histogram) => (
            Kind::Other,
            MetricType::Histogram,
            temporality(histogram.aggregation_temporality),
        ),
        Data::Summary(_) => (
            Kind::Other,
            MetricType::Summary,
            Some(Temporality::Cumulative),
        ),
    }
}

fn temporality(number: i32) -> Option<Temporality> {
    match AggregationTemporality::try_from(number) {
        Ok(AggregationTemporality::Delta) => Some(Temporality::Delta),
        Ok(AggregationTemporality::Cumulative) => Some(Temporality::Cumulative),
        _ => None,
    }
}

/// The fields that every kind of point has.
struct PointHead {
    time: u64,
    start: u64,
    attributes: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>,
    flags: u32,
}

trait WirePoint {
    /// Takes the attributes out and copies the rest.
    fn head(&mut self) -> PointHead;
}

macro_rules! wire_point {
    ($($type:ty),*) => {$(
        impl WirePoint for $type {
            fn head(&mut self) -> PointHead {
                PointHead {
                    time: self.time_unix_nano,
                    start: self.start_time_unix_nano,
                    attributes: std::mem::take(&mut self.attributes),
                    flags: self.flags,
                }
            }
        }
    )*};
}

wire_point!(
    NumberDataPoint,
    HistogramDataPoint,
    opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint,
    SummaryDataPoint
);

/// Where the samples of one point go.
pub(super) struct Series<'a> {
    family: &'a Family,
    point: Point,
    samples: &'a mut Vec<(u32, SeriesSample)>,
    /// Text in the labels of all samples; past [`MAX_LABEL_BYTES`] the body is refused.
    label_bytes: &'a mut usize,
}

impl Series<'_> {
    /// Whether the sender says that there is no value any more.
    pub(super) fn is_stale(&self) -> bool {
        self.point.stale
    }

    /// The sample's exemplars in the model's form; a missing time is the point's.
    pub(super) fn exemplars(&self, wire: Vec<WireExemplar>) -> Vec<Exemplar> {
        wire.into_iter()
            .filter_map(|exemplar| self.exemplar(exemplar))
            .collect()
    }

    /// `None` for an exemplar without a value or with a time past 2262.
    fn exemplar(&self, wire: WireExemplar) -> Option<Exemplar> {
        let value = match wire.value? {
            exemplar::Value::AsDouble(number) => number,
            exemplar::Value::AsInt(number) => number as f64,
        };
        let timestamp_ms = match super::nanos(wire.time_unix_nano).ok()? {
            0 => self.point.timestamp_ms,
            nanos => nanos.div_euclid(NANOS_PER_MILLI),
        };
        let trace_id = TraceId::from_bytes(&wire.trace_id).ok();
        let span_id = SpanId::from_bytes(&wire.span_id).ok();
        let ids = [
            ("trace_id".to_owned(), trace_id.map(|id| id.to_string())),
            ("span_id".to_owned(), span_id.map(|id| id.to_string())),
        ];
        let attributes = value::attributes(wire.filtered_attributes);
        let labels = names::labels(&attributes)
            .into_iter()
            .chain(ids.into_iter().filter_map(|(name, id)| Some((name, id?))))
            .collect();
        Some(Exemplar {
            labels,
            value,
            timestamp_ms,
        })
    }

    /// A sample of the series `family` + `suffix` with the point's labels and `extra`.
    pub(super) fn push(
        &mut self,
        suffix: &str,
        extra: Option<(&str, String)>,
        value: SampleValue,
        exemplars: Vec<Exemplar>,
    ) {
        let name = format!("{}{suffix}", self.family.name);
        let own = self.point.labels.iter();
        let own: usize = own.map(|(name, value)| name.len() + value.len()).sum();
        *self.label_bytes += own + name.len();
        // One point may have very many samples, so it is not looked at after all of them only.
        if *self.label_bytes > MAX_LABEL_BYTES {
            return;
        }
        let labels: Labels = self
            .point
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(extra.iter().map(|(name, value)| (*name, value.as_str())))
            .chain([(METRIC_NAME, name.as_str())])
            .collect();
        let value = if self.point.stale {
            SampleValue::Float(stale_nan())
        } else {
            value
        };
        let sample = SeriesSample {
            labels,
            timestamp_ms: self.point.timestamp_ms,
            start_ms: self.point.start_ms,
            temporality: self.point.temporality,
            value,
            exemplars,
        };
        self.samples.push((self.point.ordinal, sample));
    }

    fn push_number(&mut self, suffix: &str, extra: Option<(&str, String)>, number: f64) {
        self.push(suffix, extra, SampleValue::Float(number), Vec::new());
    }
}

fn number(point: NumberDataPoint, series: &mut Series<'_>) -> Result<(), RejectReason> {
    let number = match point.value {
        Some(number_data_point::Value::AsDouble(number)) => number,
        Some(number_data_point::Value::AsInt(number)) => number as f64,
        None if series.is_stale() => 0.0,
        None => return Err(RejectReason::InvalidPoint),
    };
    let exemplars = series.exemplars(point.exemplars);
    series.push("", None, SampleValue::Float(number), exemplars);
    Ok(())
}

fn classic_histogram(
    point: HistogramDataPoint,
    series: &mut Series<'_>,
) -> Result<(), RejectReason> {
    let bounds = &point.explicit_bounds;
    let counts = &point.bucket_counts;
    let has_buckets = counts.len() == bounds.len() + 1;
    let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if !(has_buckets || (counts.is_empty() && (bounds.is_empty() || series.is_stale())))
        || !ascending
        || bounds.iter().any(|bound| bound.is_nan())
    {
        return Err(RejectReason::InvalidPoint);
    }
    let mut by_bucket = by_bucket(series.exemplars(point.exemplars), bounds);
    let mut cumulative = 0_u64;
    for (index, bound) in bounds.iter().enumerate() {
        cumulative = cumulative
            .checked_add(counts.get(index).copied().unwrap_or(0))
            .ok_or(RejectReason::InvalidPoint)?;
        // An explicit bound of +Inf is the last bucket itself, which follows below.
        if *bound == f64::INFINITY {
            break;
        }
        let le = Some(("le", names::bound_text(*bound)));
        let exemplars = std::mem::take(&mut by_bucket[index]);
        series.push(
            "_bucket",
            le,
            SampleValue::Float(cumulative as f64),
            exemplars,
        );
    }
    let rest = by_bucket.pop().unwrap_or_default();
    let le = Some(("le", "+Inf".to_owned()));
    series.push("_bucket", le, SampleValue::Float(point.count as f64), rest);
    if let Some(sum) = point.sum {
        series.push_number("_sum", None, sum);
    }
    series.push_number("_count", None, point.count as f64);
    Ok(())
}

/// Exemplars by the bucket that their value falls into; the last entry is `+Inf`'s.
fn by_bucket(exemplars: Vec<Exemplar>, bounds: &[f64]) -> Vec<Vec<Exemplar>> {
    let mut buckets = vec![Vec::new(); bounds.len() + 1];
    for exemplar in exemplars {
        let index = bounds.partition_point(|bound| *bound < exemplar.value);
        buckets[index].push(exemplar);
    }
    buckets
}

fn summary_series(point: SummaryDataPoint, series: &mut Series<'_>) -> Result<(), RejectReason> {
    for quantile in point.quantile_values {
        let label = Some(("quantile", names::bound_text(quantile.quantile)));
        series.push_number("", label, quantile.value);
    }
    series.push_number("_sum", None, point.sum);
    series.push_number("_count", None, point.count as f64);
    Ok(())
}
