//! Answers and errors in Prometheus' JSON.

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use model::histogram::BucketKind;
use model::tenant::InvalidTenant;
use model::{Labels, NativeHistogram, SampleValue};
use promql::{Annotations, ErrorKind, EvalError, ParseError, QueryValue, Series, SourceError};
use serde::Serialize;
use store::QueryError;

use crate::http::json_text;
use crate::http::params::BadParams;
use crate::query_cost::TimedOut;

/// `{"status":"success","data":…}`.
pub(super) fn success(data: &impl Serialize) -> Result<Response, PromError> {
    let data = serde_json::to_string(data).map_err(|err| PromError::internal(err.to_string()))?;
    Ok(success_text(&data, ""))
}

/// The same from text that is JSON already; `tail` follows `data`, with its comma.
fn success_text(data: &str, tail: &str) -> Response {
    let body = format!(r#"{{"status":"success","data":{data}{tail}}}"#);
    json_text(StatusCode::OK, body)
}

/// The same with remarks.
pub(super) fn success_with_warnings(
    data: &impl Serialize,
    warnings: &[String],
) -> Result<Response, PromError> {
    let data = serde_json::to_string(data).map_err(|err| PromError::internal(err.to_string()))?;
    Ok(success_text(&data, &remarks("warnings", warnings)))
}

fn remarks(key: &str, remarks: &[String]) -> String {
    if remarks.is_empty() {
        return String::new();
    }
    let mut out = format!(r#","{key}":["#);
    for (index, remark) in remarks.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_text(&mut out, remark);
    }
    out.push(']');
    out
}

/// An error in Prometheus' form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PromError {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl PromError {
    pub(super) fn bad_data(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "bad_data",
            message: message.into(),
        }
    }

    fn execution(message: String) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            kind: "execution",
            message,
        }
    }

    fn unavailable(kind: &'static str, message: String) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind,
            message,
        }
    }

    /// Grafana shows no other status than 400, 422 and 503 properly, so a bug is a 422 as well.
    pub(super) fn internal(message: String) -> Self {
        tracing::error!(error = message, "a Prometheus query failed");
        Self::execution(message)
    }

    /// Where the server still has to catch up.
    pub(super) fn not_ready(progress: &str) -> Self {
        Self::unavailable(
            "unavailable",
            format!("the server is not ready: {progress}"),
        )
    }
}

impl From<BadParams> for PromError {
    fn from(err: BadParams) -> Self {
        Self::bad_data(err.0)
    }
}

impl From<InvalidTenant> for PromError {
    fn from(err: InvalidTenant) -> Self {
        Self::bad_data(err.to_string())
    }
}

impl From<TimedOut> for PromError {
    fn from(TimedOut(timeout): TimedOut) -> Self {
        let seconds = timeout.as_secs_f64();
        Self::unavailable("timeout", format!("query timed out after {seconds} s"))
    }
}

impl From<QueryError> for PromError {
    fn from(err: QueryError) -> Self {
        let message = err.to_string();
        match err {
            QueryError::Invalid { .. } => Self::bad_data(message),
            QueryError::Timeout(_) => Self::unavailable("timeout", message),
            QueryError::LimitExceeded(_) => Self::execution(message),
            QueryError::NotReady(_) => Self::not_ready(&message),
            QueryError::Store(_) | QueryError::Internal(_) => Self::internal(message),
        }
    }
}

impl From<ParseError> for PromError {
    fn from(err: ParseError) -> Self {
        Self::bad_data(format!("invalid parameter \"query\": {err}"))
    }
}

impl From<EvalError> for PromError {
    fn from(err: EvalError) -> Self {
        let message = err.to_string();
        match err.kind() {
            // Prometheus finds a bad expression in a matcher while it parses.
            _ if is_bad_regex(&err) => Self::bad_data(message),
            ErrorKind::BadRequest => Self::bad_data(message),
            ErrorKind::Execution | ErrorKind::Limit => Self::execution(message),
            ErrorKind::Unavailable => Self::unavailable("unavailable", message),
            ErrorKind::Internal => Self::internal(message),
        }
    }
}

fn is_bad_regex(err: &EvalError) -> bool {
    matches!(err, EvalError::Source(SourceError::InvalidRegex { .. }))
}

impl From<SourceError> for PromError {
    fn from(err: SourceError) -> Self {
        EvalError::Source(err).into()
    }
}

impl IntoResponse for PromError {
    fn into_response(self) -> Response {
        let mut body = format!(r#"{{"status":"error","errorType":"{}","error":"#, self.kind);
        push_text(&mut body, &self.message);
        body.push('}');
        let mut response = json_text(self.status, body);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, 2.into());
        }
        response
    }
}

/// A query's value and its remarks.
pub(super) fn query_result(value: &QueryValue, annotations: &Annotations, query: &str) -> Response {
    let mut data = String::new();
    push_value(&mut data, value);
    let tail = remarks("warnings", &annotations.warnings(query))
        + &remarks("infos", &annotations.infos(query));
    success_text(&data, &tail)
}

fn push_value(out: &mut String, value: &QueryValue) {
    match value {
        QueryValue::Scalar {
            timestamp_ms,
            value,
        } => {
            out.push_str(r#"{"resultType":"scalar","result":"#);
            push_point(out, *timestamp_ms, *value);
        }
        QueryValue::String {
            timestamp_ms,
            value,
        } => {
            out.push_str(r#"{"resultType":"string","result":["#);
            push_seconds(out, *timestamp_ms);
            out.push(',');
            push_text(out, value);
            out.push(']');
        }
        QueryValue::Vector(samples) => {
            out.push_str(r#"{"resultType":"vector","result":["#);
            for (index, sample) in samples.iter().enumerate() {
                push_comma(out, index);
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
            out.push(']');
        }
        QueryValue::Matrix(series) => {
            out.push_str(r#"{"resultType":"matrix","result":["#);
            for (index, one) in series.iter().enumerate() {
                push_comma(out, index);
                push_series(out, one);
            }
            out.push(']');
        }
    }
    out.push('}');
}

fn push_series(out: &mut String, series: &Series) {
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

fn push_point(out: &mut String, timestamp_ms: i64, number: f64) {
    out.push('[');
    push_seconds(out, timestamp_ms);
    out.push_str(",\"");
    out.push_str(&number_text(number));
    out.push_str("\"]");
}

/// `[t,{"count","sum","buckets":[[rule,low,high,count]]}]`.
fn push_histogram_point(out: &mut String, timestamp_ms: i64, histogram: &NativeHistogram) {
    out.push('[');
    push_seconds(out, timestamp_ms);
    out.push_str(&format!(
        r#",{{"count":"{}","sum":"{}""#,
        number_text(histogram.count),
        number_text(histogram.sum)
    ));
    let mut buckets = histogram.buckets();
    buckets.retain(|bucket| bucket.count != 0.0);
    if !buckets.is_empty() {
        out.push_str(r#","buckets":["#);
        for (index, bucket) in buckets.iter().enumerate() {
            push_comma(out, index);
            out.push_str(&format!(
                r#"[{},"{}","{}","{}"]"#,
                border_rule(bucket.kind),
                number_text(bucket.low),
                number_text(bucket.high),
                number_text(bucket.count)
            ));
        }
        out.push(']');
    }
    out.push_str("}]");
}

/// The API's number for which borders belong to a bucket.
fn border_rule(kind: BucketKind) -> u8 {
    match kind {
        BucketKind::Positive => 0,
        BucketKind::Negative => 1,
        BucketKind::Zero => 3,
    }
}

/// Seconds with as many digits as the milliseconds need.
fn push_seconds(out: &mut String, timestamp_ms: i64) {
    if timestamp_ms < 0 {
        out.push('-');
    }
    let ms = timestamp_ms.unsigned_abs();
    out.push_str(&(ms / 1_000).to_string());
    if !ms.is_multiple_of(1_000) {
        out.push_str(&format!(".{:03}", ms % 1_000));
    }
}

fn push_text(out: &mut String, text: &str) {
    // A string always serializes; were it not so, an empty one keeps the JSON whole.
    out.push_str(&serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned()));
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
    use promql::{FloatColumn, HistogramColumn, VectorSample};

    use super::*;

    fn json(value: &QueryValue) -> String {
        let mut out = String::new();
        push_value(&mut out, value);
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
    fn keys_come_in_the_order_that_grafana_streams() {
        let labels = Labels::new([("__name__", "up"), ("job", "a\"b")]);
        let vector = QueryValue::Vector(vec![VectorSample {
            labels: labels.clone(),
            timestamp_ms: 1_795_225_698_867,
            value: SampleValue::Float(1.0),
        }]);
        assert_eq!(
            json(&vector),
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a\"b"},"value":[1795225698.867,"1"]}]}"#
        );
        let matrix = QueryValue::Matrix(vec![Series {
            labels,
            floats: FloatColumn {
                timestamps_ms: vec![-1_500, 0, 1_005],
                values: vec![1.0, f64::NAN, 2.5],
            },
            histograms: HistogramColumn::default(),
        }]);
        assert_eq!(
            json(&matrix),
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a\"b"},"values":[[-1.500,"1"],[0,"NaN"],[1.005,"2.5"]]}]}"#
        );
        let scalar = QueryValue::Scalar {
            timestamp_ms: 4_000,
            value: 2.0,
        };
        assert_eq!(json(&scalar), r#"{"resultType":"scalar","result":[4,"2"]}"#);
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
        let matrix = QueryValue::Matrix(vec![Series {
            labels: Labels::empty(),
            floats: FloatColumn::default(),
            histograms: HistogramColumn {
                timestamps_ms: vec![1_000],
                values: vec![Arc::new(histogram)],
            },
        }]);
        assert_eq!(
            json(&matrix),
            r#"{"resultType":"matrix","result":[{"metric":{},"histograms":[[1,{"count":"4","sum":"5","buckets":[[3,"-0.001","0.001","1"],[0,"1","2","1"],[0,"2","4","2"]]}]]}]}"#
        );
    }
}
