//! Native histograms with custom borders, made of classic ones: `load_with_nhcb`.

use std::collections::BTreeMap;

use model::histogram::{CUSTOM_SCHEMA, spans_of};
use model::labels::METRIC_NAME;
use model::{Labels, NativeHistogram, SampleValue};

type LoadedSeries = (Labels, Vec<Option<SampleValue>>);

/// A classic histogram at one interval.
#[derive(Default)]
struct Classic {
    /// Borders and how many observations lie at or below them.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl Classic {
    /// `None` without any bucket or count.
    fn native(mut self) -> Option<NativeHistogram> {
        if self.buckets.is_empty() && self.count.is_none() {
            return None;
        }
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let counted = self.buckets.last().map_or(0.0, |(_, count)| *count);
        let count = self.count.unwrap_or(counted);
        if self
            .buckets
            .last()
            .is_none_or(|(border, _)| border.is_finite())
        {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let own = (0..).zip(&self.buckets).map(|(index, (_, up_to))| {
            let own = up_to - before;
            before = *up_to;
            (index, own)
        });
        let (positive_spans, positive_counts) = spans_of(own.filter(|(_, count)| *count != 0.0));
        let borders = self.buckets.iter().map(|(border, _)| *border);
        Some(NativeHistogram {
            schema: CUSTOM_SCHEMA,
            count,
            sum: self.sum,
            positive_spans,
            positive_counts,
            custom_values: borders.filter(|border| border.is_finite()).collect(),
            ..NativeHistogram::default()
        })
    }
}

/// The native histograms that the classic ones among `series` stand for.
pub(super) fn of_classic(series: &[LoadedSeries]) -> Vec<LoadedSeries> {
    let mut classic: BTreeMap<Labels, Vec<Classic>> = BTreeMap::new();
    for (labels, values) in series {
        let name = labels.metric_name().unwrap_or_default();
        let suffix = ["_bucket", "_count", "_sum"]
            .into_iter()
            .find_map(|suffix| Some((suffix, name.strip_suffix(suffix)?)));
        let Some((suffix, family)) = suffix else {
            continue;
        };
        let border: Option<f64> = labels.get("le").and_then(|border| border.parse().ok());
        let key = labels.without("le").with(METRIC_NAME, family);
        let histograms = classic.entry(key).or_default();
        histograms.resize_with(histograms.len().max(values.len()), Classic::default);
        for (histogram, value) in histograms.iter_mut().zip(values) {
            let Some(SampleValue::Float(value)) = value else {
                continue;
            };
            match (suffix, border) {
                ("_bucket", Some(border)) => histogram.buckets.push((border, *value)),
                ("_count", _) => histogram.count = Some(*value),
                ("_sum", _) => histogram.sum = *value,
                _ => {}
            }
        }
    }
    classic
        .into_iter()
        .map(|(labels, histograms)| {
            let natives = histograms.into_iter().map(|histogram| {
                let native = histogram.native()?;
                Some(SampleValue::Histogram(Box::new(native)))
            });
            (labels, natives.collect())
        })
        .collect()
}
