//! Remarks about histograms among samples, in Prometheus' words.
//!
//! Where many samples are gone through, remarks are collected first and put into words once.

use model::Labels;
use model::labels::METRIC_NAME;

use crate::ast::{AggregateOp, BinaryOp};
use crate::span::Span;
use crate::value::{Annotations, Severity};

/// What several histograms were put together for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Addition,
    Subtraction,
    Aggregation,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// What there is to say about samples of which some are histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remark {
    /// Nothing was computed of a range, since there are samples of both kinds.
    MixedInRange,
    /// Nothing was computed of a group, since there are samples of both kinds.
    MixedInAggregation,
    /// The histograms of a range were left out.
    IgnoredInRange,
    /// The histograms of a group were left out.
    IgnoredInAggregation(AggregateOp),
    /// Nothing was computed, since some have exponential and some have custom buckets.
    MixedSchemas,
    /// A gauge was taken for a counter.
    NotCounter,
    /// A counter was taken for a gauge.
    NotGauge,
    /// One histogram told of a counter's reset and another that there was none.
    ConflictingResets(Operation),
    /// Custom borders differed, so that only shared ones are left.
    BordersReconciled(Operation),
    /// An operator does nothing with samples of these kinds; whether each is a histogram.
    IncompatibleKinds(BinaryOp, [bool; 2]),
    /// An operator does nothing with exponential and custom buckets.
    IncompatibleSchemas(BinaryOp),
    /// Classic and native buckets of one name, of which neither count.
    ClassicAndNative,
    /// The quantile lies among NaN observations.
    QuantileIsNan,
    /// The quantile was found below NaN observations.
    QuantileIsSkewed,
    /// NaN observations are in no fraction.
    NanInNoFraction,
}

impl Remark {
    fn severity(self) -> Severity {
        match self {
            Self::IgnoredInRange
            | Self::IgnoredInAggregation(_)
            | Self::BordersReconciled(_)
            | Self::IncompatibleKinds(..)
            | Self::QuantileIsNan
            | Self::QuantileIsSkewed
            | Self::NanInNoFraction => Severity::Info,
            _ => Severity::Warning,
        }
    }

    /// The remark about the series with these labels.
    fn message(self, labels: &Labels) -> String {
        let name = labels.get(METRIC_NAME).unwrap_or_default();
        match self {
            Self::MixedInRange => {
                format!("encountered a mix of histograms and floats for metric name {name:?}")
            }
            Self::MixedInAggregation => {
                "encountered a mix of histograms and floats for aggregation".to_owned()
            }
            Self::IgnoredInRange => format!(
                "ignored histograms in a range containing both floats and histograms for metric name {name:?}"
            ),
            Self::IgnoredInAggregation(op) => {
                format!("ignored histogram in {} aggregation", op.as_str())
            }
            Self::MixedSchemas => format!(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {name:?}"
            ),
            Self::NotCounter => {
                format!("this native histogram metric is not a counter: {name:?}")
            }
            Self::NotGauge => format!("this native histogram metric is not a gauge: {name:?}"),
            Self::ConflictingResets(operation) => format!(
                "conflicting counter resets during histogram {}",
                operation.as_str()
            ),
            Self::BordersReconciled(operation) => format!(
                "mismatched custom buckets were reconciled during {}",
                operation.as_str()
            ),
            Self::IncompatibleKinds(op, are_histograms) => {
                let op = op.as_str();
                let [left, right] = are_histograms.map(|is| if is { "histogram" } else { "float" });
                format!(
                    "incompatible sample types encountered for binary operator {op:?}: {left} {op} {right}"
                )
            }
            Self::IncompatibleSchemas(op) => format!(
                "incompatible bucket layout encountered for binary operator {}",
                op.as_str()
            ),
            Self::ClassicAndNative => with_name(
                "vector contains a mix of classic and native histograms",
                labels,
            ),
            Self::QuantileIsNan => with_name(
                "input to histogram_quantile has NaN observations, result is NaN",
                labels,
            ),
            Self::QuantileIsSkewed => with_name(
                "input to histogram_quantile has NaN observations, result is skewed higher",
                labels,
            ),
            Self::NanInNoFraction => with_name(
                "input to histogram_fraction has NaN observations, which are excluded from all fractions",
                labels,
            ),
        }
    }
}

/// The message about a metric, which is named when it has a name.
pub(super) fn with_name(message: &str, labels: &Labels) -> String {
    match labels.get(METRIC_NAME) {
        Some(name) => format!("{message} for metric name {name:?}"),
        None => message.to_owned(),
    }
}

/// Remarks about one series, group or operator, each once.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Remarks(Vec<Remark>);

impl Remarks {
    pub(super) fn add(&mut self, remark: Remark) {
        if !self.0.contains(&remark) {
            self.0.push(remark);
        }
    }

    pub(super) fn extend(&mut self, remarks: impl IntoIterator<Item = Remark>) {
        remarks.into_iter().for_each(|remark| self.add(remark));
    }

    /// Puts the remarks into words: about the series with these labels and the expression at
    /// `span`.
    pub(super) fn note(self, annotations: &mut Annotations, labels: &Labels, span: Span) {
        for remark in self.0 {
            match remark.severity() {
                Severity::Warning => annotations.warn(span, remark.message(labels)),
                Severity::Info => annotations.info(span, remark.message(labels)),
            }
        }
    }
}
