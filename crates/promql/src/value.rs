//! What a query returns: scalars, strings, vectors, matrices, and the remarks made on the way.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use model::{Labels, NativeHistogram, SampleValue};

use crate::span::Span;

/// Plain samples as two columns of equal length, sorted by time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FloatColumn {
    /// When, Unix ms, strictly ascending.
    pub timestamps_ms: Vec<i64>,
    /// The values; NaN bits matter, see [`model::metric::is_stale`].
    pub values: Vec<f64>,
}

/// Native histogram samples as two columns of equal length, sorted by time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistogramColumn {
    /// When, Unix ms, strictly ascending.
    pub timestamps_ms: Vec<i64>,
    /// The histograms; one whose `sum` is the stale marker ends the series.
    pub values: Vec<Arc<NativeHistogram>>,
}

/// What a histogram with its time weighs in memory, in plain samples of 16 bytes.
pub(crate) fn histogram_weight(histogram: &NativeHistogram) -> usize {
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    let numbers = histogram.positive_counts.len()
        + histogram.negative_counts.len()
        + histogram.custom_values.len();
    // A span takes as much as a number: 8 bytes.
    let bytes = size_of::<NativeHistogram>() + 8 * (spans + numbers) + 8;
    bytes.div_ceil(16)
}

/// A series and some of its samples.
///
/// A series may change between floats and histograms over time, but has one sample a millisecond.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// The labels, metric name included.
    pub labels: Labels,
    /// Its plain samples.
    pub floats: FloatColumn,
    /// Its native histogram samples.
    pub histograms: HistogramColumn,
}

impl Series {
    /// How many samples of either kind.
    pub fn sample_count(&self) -> usize {
        self.floats.values.len() + self.histograms.values.len()
    }

    /// What the samples weigh in memory, in plain samples of 16 bytes.
    pub fn weight(&self) -> usize {
        let histograms = self.histograms.values.iter();
        let histograms = histograms.map(|histogram| histogram_weight(histogram));
        self.floats.values.len() + histograms.sum::<usize>()
    }

    /// Samples of both kinds in order of time.
    pub fn samples(&self) -> impl Iterator<Item = (i64, SampleValue)> + '_ {
        let mut samples: Vec<(i64, SampleValue)> = self
            .floats
            .timestamps_ms
            .iter()
            .zip(&self.floats.values)
            .map(|(time, value)| (*time, SampleValue::Float(*value)))
            .chain(
                self.histograms
                    .timestamps_ms
                    .iter()
                    .zip(&self.histograms.values)
                    .map(|(time, value)| {
                        (
                            *time,
                            SampleValue::Histogram(Box::new(value.as_ref().clone())),
                        )
                    }),
            )
            .collect();
        samples.sort_by_key(|(time, _)| *time);
        samples.into_iter()
    }
}

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    /// The labels; without a metric name after most functions.
    pub labels: Labels,
    /// When, Unix ms: the evaluation time.
    pub timestamp_ms: i64,
    /// The value.
    pub value: SampleValue,
}

/// A query's value, by PromQL's four types.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryValue {
    /// A number without labels.
    Scalar {
        /// When, Unix ms.
        timestamp_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// When, Unix ms.
        timestamp_ms: i64,
        /// The text.
        value: String,
    },
    /// One sample per label set. The order is the evaluation's (`sort`, `topk`), label sets unique.
    Vector(Vec<VectorSample>),
    /// Several samples per label set, sorted by labels.
    Matrix(Vec<Series>),
}

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The result may not be what was meant.
    Warning,
    /// Worth knowing; the result stands.
    Info,
}

/// A remark about a query that did not fail.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Annotation {
    /// How much it matters.
    pub severity: Severity,
    /// What was noticed, lowercase, in Prometheus' words.
    pub message: String,
    /// The expression it is about.
    pub span: Span,
}

impl Annotation {
    /// The remark as Prometheus' API prints it: `PromQL warning: … (1:15)`.
    pub fn render(&self, query: &str) -> String {
        let (line, column) = self.span.line_column(query);
        let kind = match self.severity {
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        format!("PromQL {kind}: {} ({line}:{column})", self.message)
    }
}

/// Most remarks of each severity that are kept in full.
const MOST_KEPT: usize = 1_000;

/// Most remarks of each severity that an answer shows.
const MOST_SHOWN: usize = 10;

/// The remarks made while evaluating, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    warnings: Remarked,
    infos: Remarked,
}

/// Remarks of one severity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Remarked {
    /// In the order they were made.
    kept: Vec<Annotation>,
    /// Hashes of all that were made.
    seen: HashSet<u64>,
}

impl Remarked {
    fn add(&mut self, annotation: Annotation) {
        let mut hasher = DefaultHasher::new();
        annotation.hash(&mut hasher);
        if self.seen.insert(hasher.finish()) && self.kept.len() < MOST_KEPT {
            self.kept.push(annotation);
        }
    }

    fn shown(&self, query: &str, kind: &str) -> Vec<String> {
        let shown = self.kept.iter().take(MOST_SHOWN);
        let mut shown: Vec<String> = shown.map(|annotation| annotation.render(query)).collect();
        let omitted = self.seen.len() - shown.len();
        if omitted > 0 {
            shown.push(format!("{omitted} more {kind} annotations omitted"));
        }
        shown
    }
}

impl Annotations {
    /// Adds a warning about the expression at `span`, unless it was made before.
    pub fn warn(&mut self, span: Span, message: impl Into<String>) {
        self.warnings.add(Annotation {
            severity: Severity::Warning,
            message: message.into(),
            span,
        });
    }

    /// Adds an info about the expression at `span`, unless it was made before.
    pub fn info(&mut self, span: Span, message: impl Into<String>) {
        self.infos.add(Annotation {
            severity: Severity::Info,
            message: message.into(),
            span,
        });
    }

    /// The remarks, warnings first, of each severity in the order they were made and at most
    /// 1,000.
    pub fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.warnings.kept.iter().chain(&self.infos.kept)
    }

    /// Whether nothing was remarked.
    pub fn is_empty(&self) -> bool {
        self.warnings.kept.is_empty() && self.infos.kept.is_empty()
    }

    /// The API's `warnings` array for the query text: at most ten, then how many more there are.
    pub fn warnings(&self, query: &str) -> Vec<String> {
        self.warnings.shown(query, "warning")
    }

    /// The API's `infos` array for the query text, as [`Annotations::warnings`].
    pub fn infos(&self, query: &str) -> Vec<String> {
        self.infos.shown(query, "info")
    }
}

/// A query's value with the remarks made on the way and what it cost.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryResult {
    /// The value.
    pub value: QueryValue,
    /// Warnings and infos.
    pub annotations: Annotations,
    /// Samples loaded from the source.
    pub samples_read: usize,
    /// Series loaded from the source, counted per selector.
    pub series_read: usize,
    /// Samples that the steps looked at: one seen by the windows of several steps counts for
    /// each. Steps of a subquery count as often as they are computed. 0 unless
    /// [`crate::EvalOptions::counts_samples`].
    pub samples_seen: u64,
}
