//! Label sets and samples in Prometheus' JSON, appended to a text.

use model::histogram::BucketKind;
use model::{Labels, NativeHistogram, SampleValue};
use promql::{Series, VectorSample};

/// An element of a matrix: its labels, then `values` and `histograms`, those there are.
pub(super) fn push_series(out: &mut String, series: &Series) {
    push_metric(out, &series.labels);
    let floats = series
        .floats
        .timestamps_ms
        .iter()
        .zip(&series.floats.values);
    if floats.len() > 0 {
        out.push_str(r#","values":["#);
        for (index, (time, number)) in floats.enumerate() {
            push_comma(out, index);
            push_point(out, *time, *number);
        }
        out.push(']');
    }
    let histograms = series
        .histograms
        .timestamps_ms
        .iter()
        .zip(&series.histograms.values);
    if histograms.len() > 0 {
        out.push_str(r#","histograms":["#);
        for (index, (time, histogram)) in histograms.enumerate() {
            push_comma(out, index);
            push_histogram_point(out, *time, histogram);
        }
        out.push(']');
    }
    out.push('}');
}

/// An element of a vector: its labels, then `value` or `histogram`.
pub(super) fn push_sample(out: &mut String, sample: &VectorSample) {
    push_metric(out, &sample.labels);
    match &sample.value {
        SampleValue::Float(number) => {
            out.push_str(r#","value":"#);
            push_point(out, sample.timestamp_ms, *number);
        }
        SampleValue::Histogram(histogram) => {
            out.push_str(r#","histogram":"#);
            push_histogram_point(out, sample.timestamp_ms, histogram);
        }
    }
    out.push('}');
}

/// `{"metric":{…}`, still open.
fn push_metric(out: &mut String, labels: &Labels) {
    out.push_str(r#"{"metric":"#);
    push_labels(out, labels);
}

/// A label set as an object.
pub(super) fn push_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (index, (name, value)) in labels.iter().enumerate() {
        push_comma(out, index);
        push_text(out, name);
        out.push(':');
        push_text(out, value);
    }
    out.push('}');
}

fn push_comma(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

/// `[t,"number"]`.
pub(super) fn push_point(out: &mut String, timestamp_ms: i64, number: f64) {
    out.push('[');
    push_seconds(out, timestamp_ms);
    out.push(',');
    push_number(out, number);
    out.push(']');
}

/// `[t,{"count","sum","buckets":[[rule,low,high,count]]}]`.
fn push_histogram_point(out: &mut String, timestamp_ms: i64, histogram: &NativeHistogram) {
    out.push('[');
    push_seconds(out, timestamp_ms);
    out.push_str(r#",{"count":"#);
    push_number(out, histogram.count);
    out.push_str(r#","sum":"#);
    push_number(out, histogram.sum);
    let mut buckets = histogram.buckets();
    buckets.retain(|bucket| bucket.count != 0.0);
    if !buckets.is_empty() {
        out.push_str(r#","buckets":["#);
        for (index, bucket) in buckets.iter().enumerate() {
            push_comma(out, index);
            out.push('[');
            out.push(border_rule(bucket.kind));
            for number in [bucket.low, bucket.high, bucket.count] {
                out.push(',');
                push_number(out, number);
            }
            out.push(']');
        }
        out.push(']');
    }
    out.push_str("}]");
}

/// The API's number for which borders belong to a bucket.
fn border_rule(kind: BucketKind) -> char {
    match kind {
        BucketKind::Positive => '0',
        BucketKind::Negative => '1',
        BucketKind::Zero => '3',
    }
}

/// Seconds with as many digits as the milliseconds need.
pub(super) fn push_seconds(out: &mut String, timestamp_ms: i64) {
    if timestamp_ms < 0 {
        out.push('-');
    }
    let ms = timestamp_ms.unsigned_abs();
    out.push_str(&(ms / 1_000).to_string());
    if !ms.is_multiple_of(1_000) {
        out.push_str(&format!(".{:03}", ms % 1_000));
    }
}

/// A text in quotes.
pub(super) fn push_text(out: &mut String, text: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
        return;
    }
    // A string always serializes; were it not so, an empty one keeps the JSON whole.
    out.push_str(&serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned()));
}

/// A number in quotes.
pub(super) fn push_number(out: &mut String, number: f64) {
    out.push('"');
    out.push_str(&number_text(number));
    out.push('"');
}

/// A number in Go's shortest form: decimal, or with an exponent when very large or small.
pub(super) fn number_text(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::histogram::BucketSpan;
    use promql::{FloatColumn, HistogramColumn};

    use super::*;

    fn series_json(series: &Series) -> String {
        let mut out = String::new();
        push_series(&mut out, series);
        out
    }

    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.5, "-0.5"),
            (100.0, "100"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-07"),
            (1e-6, "0.000001"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(number_text(number), expected);
        }
    }

    #[test]
    fn points_have_seconds_and_text() {
        let labels = Labels::new([("__name__", "up"), ("job", "a\"b")]);
        let mut out = String::new();
        let sample = VectorSample {
            labels: labels.clone(),
            timestamp_ms: 1_795_225_698_867,
            value: SampleValue::Float(1.0),
        };
        push_sample(&mut out, &sample);
        assert_eq!(
            out,
            r#"{"metric":{"__name__":"up","job":"a\"b"},"value":[1795225698.867,"1"]}"#
        );
        let series = Series {
            labels,
            floats: FloatColumn {
                timestamps_ms: vec![-1_500, 0, 1_005],
                values: vec![1.0, f64::NAN, 2.5],
            },
            histograms: HistogramColumn::default(),
        };
        assert_eq!(
            series_json(&series),
            r#"{"metric":{"__name__":"up","job":"a\"b"},"values":[[-1.500,"1"],[0,"NaN"],[1.005,"2.5"]]}"#
        );
    }

    #[test]
    fn native_histograms_list_their_buckets() {
        let histogram = NativeHistogram {
            schema: 0,
            count: 4.0,
            sum: 5.0,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive_spans: vec![BucketSpan {
                offset: 1,
                length: 2,
            }],
            positive_counts: vec![1.0, 2.0],
            ..NativeHistogram::default()
        };
        let series = Series {
            labels: Labels::empty(),
            floats: FloatColumn::default(),
            histograms: HistogramColumn {
                timestamps_ms: vec![1_000],
                values: vec![Arc::new(histogram)],
            },
        };
        assert_eq!(
            series_json(&series),
            r#"{"metric":{},"histograms":[[1,{"count":"4","sum":"5","buckets":[[3,"-0.001","0.001","1"],[0,"1","2","1"],[0,"2","4","2"]]}]]}"#
        );
    }
}
