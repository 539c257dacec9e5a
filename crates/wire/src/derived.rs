//! Samples that the server derives itself (recording rules, `ALERTS`), as bodies of ingest-log
//! records.
//!
//! The form is JSON with every double as text, since JSON knows no NaN and the bits of a stale
//! marker matter: `"0.25"`, `"inf"`, `"nan:7ff0000000000002"`.

use model::histogram::{BucketSpan, ResetHint};
use model::metric::Temporality;
use model::{Exemplar, Labels, NativeHistogram, SampleValue, Seq, SeriesSample};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::otlp::DecodeError;

/// The body of a log record ([`model::Encoding::DerivedSamples`]) that carries `samples`.
pub fn encode(samples: &[SeriesSample]) -> Vec<u8> {
    let stored: Vec<StoredSample> = samples.iter().map(StoredSample::from).collect();
    serde_json::to_vec(&stored).expect("maps with text keys and numbers always serialize")
}

/// Reads [`encode`]'s form.
///
/// # Errors
///
/// Anything else, and more samples than a log record can number.
pub fn decode(body: &[u8]) -> Result<Vec<SeriesSample>, DecodeError> {
    let stored: Vec<StoredSample> =
        serde_json::from_slice(body).map_err(|err| DecodeError::json(&err))?;
    if stored.len() > Seq::MAX_ITEMS {
        return Err(DecodeError::TooManyItems {
            count: stored.len(),
            limit: Seq::MAX_ITEMS,
        });
    }
    Ok(stored.into_iter().map(SeriesSample::from).collect())
}

/// A double as text that reads back to the same bits.
#[derive(Debug, Clone, Copy)]
struct Exact(f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_nan() {
            return serializer.collect_str(&format_args!("nan:{:016x}", self.0.to_bits()));
        }
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = match text.strip_prefix("nan:") {
            Some(bits) => u64::from_str_radix(bits, 16).ok().map(f64::from_bits),
            None => text.parse().ok(),
        };
        number
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("expected a double, got {text:?}")))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredSample {
    labels: Labels,
    timestamp_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_ms: Option<i64>,
    #[serde(default)]
    temporality: Temporality,
    value: StoredValue,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exemplars: Vec<StoredExemplar>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredValue {
    Float(Exact),
    Histogram(Box<StoredHistogram>),
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredExemplar {
    labels: Labels,
    value: Exact,
    timestamp_ms: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredHistogram {
    /// Absent in what was written before gauges were told apart.
    #[serde(default)]
    gauge: bool,
    schema: i8,
    zero_threshold: Exact,
    zero_count: Exact,
    count: Exact,
    sum: Exact,
    positive_spans: Vec<BucketSpan>,
    positive_counts: Vec<Exact>,
    negative_spans: Vec<BucketSpan>,
    negative_counts: Vec<Exact>,
    custom_values: Vec<Exact>,
    min: Option<Exact>,
    max: Option<Exact>,
}

fn exact(numbers: &[f64]) -> Vec<Exact> {
    numbers.iter().copied().map(Exact).collect()
}

fn plain(numbers: Vec<Exact>) -> Vec<f64> {
    numbers.into_iter().map(|number| number.0).collect()
}

impl From<&SeriesSample> for StoredSample {
    fn from(sample: &SeriesSample) -> Self {
        Self {
            labels: sample.labels.clone(),
            timestamp_ms: sample.timestamp_ms,
            start_ms: sample.start_ms,
            temporality: sample.temporality,
            value: match &sample.value {
                SampleValue::Float(number) => StoredValue::Float(Exact(*number)),
                SampleValue::Histogram(histogram) => {
                    StoredValue::Histogram(Box::new(StoredHistogram::from(histogram.as_ref())))
                }
            },
            exemplars: sample
                .exemplars
                .iter()
                .map(|exemplar| StoredExemplar {
                    labels: exemplar.labels.clone(),
                    value: Exact(exemplar.value),
                    timestamp_ms: exemplar.timestamp_ms,
                })
                .collect(),
        }
    }
}

impl From<StoredSample> for SeriesSample {
    fn from(stored: StoredSample) -> Self {
        Self {
            labels: stored.labels,
            timestamp_ms: stored.timestamp_ms,
            start_ms: stored.start_ms,
            temporality: stored.temporality,
            value: match stored.value {
                StoredValue::Float(number) => SampleValue::Float(number.0),
                StoredValue::Histogram(histogram) => {
                    SampleValue::Histogram(Box::new(NativeHistogram::from(*histogram)))
                }
            },
            exemplars: stored
                .exemplars
                .into_iter()
                .map(|exemplar| Exemplar {
                    labels: exemplar.labels,
                    value: exemplar.value.0,
                    timestamp_ms: exemplar.timestamp_ms,
                })
                .collect(),
        }
    }
}

impl From<&NativeHistogram> for StoredHistogram {
    fn from(histogram: &NativeHistogram) -> Self {
        Self {
            gauge: histogram.reset_hint == ResetHint::Gauge,
            schema: histogram.schema,
            zero_threshold: Exact(histogram.zero_threshold),
            zero_count: Exact(histogram.zero_count),
            count: Exact(histogram.count),
            sum: Exact(histogram.sum),
            positive_spans: histogram.positive_spans.clone(),
            positive_counts: exact(&histogram.positive_counts),
            negative_spans: histogram.negative_spans.clone(),
            negative_counts: exact(&histogram.negative_counts),
            custom_values: exact(&histogram.custom_values),
            min: histogram.min.map(Exact),
            max: histogram.max.map(Exact),
        }
    }
}

impl From<StoredHistogram> for NativeHistogram {
    fn from(stored: StoredHistogram) -> Self {
        Self {
            reset_hint: match stored.gauge {
                true => ResetHint::Gauge,
                false => ResetHint::Unknown,
            },
            schema: stored.schema,
            zero_threshold: stored.zero_threshold.0,
            zero_count: stored.zero_count.0,
            count: stored.count.0,
            sum: stored.sum.0,
            positive_spans: stored.positive_spans,
            positive_counts: plain(stored.positive_counts),
            negative_spans: stored.negative_spans,
            negative_counts: plain(stored.negative_counts),
            custom_values: plain(stored.custom_values),
            min: stored.min.map(|number| number.0),
            max: stored.max.map(|number| number.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stale_marker_keeps_its_bits() {
        let sample = SeriesSample {
            labels: Labels::new([("__name__", "ALERTS"), ("alertname", "a\"b")]),
            timestamp_ms: 5,
            start_ms: None,
            temporality: Temporality::Cumulative,
            value: SampleValue::Float(model::metric::stale_nan()),
            exemplars: Vec::new(),
        };
        let read = decode(&encode(&[sample])).unwrap();
        let SampleValue::Float(number) = read[0].value else {
            panic!("expected a float, got {:?}", read[0].value);
        };
        assert!(model::metric::is_stale(number));
    }

    proptest! {
        #[test]
        fn decoding_what_was_encoded_is_the_identity(bits in any::<u64>(), histogram in any::<bool>(), time in any::<i64>()) {
            let number = f64::from_bits(bits);
            let value = if histogram {
                SampleValue::Histogram(Box::new(NativeHistogram {
                    reset_hint: ResetHint::Gauge,
                    schema: 3,
                    sum: number,
                    positive_spans: vec![BucketSpan { offset: -3, length: 1 }],
                    positive_counts: vec![number],
                    max: Some(number),
                    ..NativeHistogram::default()
                }))
            } else {
                SampleValue::Float(number)
            };
            let sample = SeriesSample {
                labels: Labels::new([("__name__", "m"), ("é", "ü\n")]),
                timestamp_ms: time,
                start_ms: Some(time),
                temporality: Temporality::Delta,
                value,
                exemplars: vec![Exemplar { labels: Labels::empty(), value: number, timestamp_ms: time }],
            };
            let first = encode(&[sample]);
            let second = encode(&decode(&first).unwrap());
            // Compared as text, which tells NaNs apart by their bits.
            prop_assert_eq!(String::from_utf8(first), String::from_utf8(second));
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _read: Result<Vec<SeriesSample>, DecodeError> = decode(&body);
        }
    }
}
