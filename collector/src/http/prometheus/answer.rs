//! Answers in Prometheus' JSON: `status`, `data`, then `warnings` and `infos`.
//!
//! A list is written element by element. What fits into one piece is sent whole; what is longer is
//! sent while it is written, and each element is let go once it is.

use std::convert::Infallible;
use std::iter;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::stream;
use promql::{QueryResult, QueryValue};
use serde::Serialize;
use serde_json::json;

use super::error::PromError;
use super::sample_json::{push_point, push_sample, push_seconds, push_series, push_text};
use crate::http::json_text;

/// About how much of an answer is written before the client has to take it, bytes.
const PIECE: usize = 64 << 10;

/// The remark on an answer that a `limit` cut short, in the words that clients look for.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// `{"status":"success","data":…}`.
pub(super) fn success(data: &impl Serialize) -> Result<Response, PromError> {
    let data = serde_json::to_string(data).map_err(|err| PromError::internal(err.to_string()))?;
    let body = format!(r#"{{"status":"success","data":{data}}}"#);
    Ok(json_text(StatusCode::OK, body))
}

/// `{"status":"success","data":[…]}`, with the remark when there would be more.
pub(super) fn list<T: 'static>(
    elements: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
    is_truncated: bool,
    write: impl FnMut(&mut String, T) + Send + 'static,
) -> Response {
    let truncated = [TRUNCATED.to_owned()];
    let warnings = if is_truncated { &truncated[..] } else { &[] };
    let tail = format!("]{}}}", remarks("warnings", warnings));
    let head = r#"{"status":"success","data":["#.to_owned();
    streamed(Text::json(head, tail), elements, write)
}

/// What a query cost, for `stats`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stats {
    /// Waiting for the query's turn.
    pub(super) queued: Duration,
    /// Reading and computing.
    pub(super) evaluated: Duration,
}

/// A query's value and the remarks on it.
///
/// With a `limit`, at most so many series or samples of it; with `stats`, what it cost.
pub(super) fn query_result(
    result: QueryResult,
    query: &str,
    limit: usize,
    stats: Option<Stats>,
) -> Response {
    let cost = stats.map(|stats| cost(stats, &result)).unwrap_or_default();
    let mut warnings = result.annotations.warnings(query);
    let length = match &result.value {
        QueryValue::Vector(samples) => samples.len(),
        QueryValue::Matrix(series) => series.len(),
        QueryValue::Scalar { .. } | QueryValue::String { .. } => 0,
    };
    if length > limit {
        warnings.push(TRUNCATED.to_owned());
    }
    let warnings = remarks("warnings", &warnings);
    let infos = remarks("infos", &result.annotations.infos(query));
    let text = |kind: &str| {
        let head = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":["#);
        Text::json(head, format!("]{cost}}}{warnings}{infos}}}"))
    };
    match result.value {
        QueryValue::Vector(mut samples) => {
            samples.truncate(limit);
            streamed(text("vector"), samples, |out, sample| {
                push_sample(out, &sample);
            })
        }
        QueryValue::Matrix(mut series) => {
            series.truncate(limit);
            streamed(text("matrix"), series, |out, one| push_series(out, &one))
        }
        QueryValue::Scalar {
            timestamp_ms,
            value,
        } => {
            let mut point = String::new();
            push_point(&mut point, timestamp_ms, value);
            pair("scalar", &point, &format!("{cost}}}{warnings}{infos}}}"))
        }
        QueryValue::String {
            timestamp_ms,
            value,
        } => {
            let mut point = "[".to_owned();
            push_seconds(&mut point, timestamp_ms);
            point.push(',');
            push_text(&mut point, &value);
            point.push(']');
            pair("string", &point, &format!("{cost}}}{warnings}{infos}}}"))
        }
    }
}

/// A result that is one pair of time and value.
fn pair(kind: &str, point: &str, tail: &str) -> Response {
    let head = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":"#);
    json_text(StatusCode::OK, format!("{head}{point}{tail}"))
}

/// `,"stats":{…}`. Reading and computing are not told apart, and results come sorted.
fn cost(stats: Stats, result: &QueryResult) -> String {
    let (queued, evaluated) = (stats.queued.as_secs_f64(), stats.evaluated.as_secs_f64());
    let stats = json!({
        "timings": {
            "evalTotalTime": evaluated,
            "resultSortTime": 0.0,
            "queryPreparationTime": 0.0,
            "innerEvalTime": evaluated,
            "execQueueTime": queued,
            "execTotalTime": queued + evaluated,
        },
        "samples": {
            "totalQueryableSamples": result.samples_seen,
            "samplesRead": result.samples_read,
            // All of them are held at once.
            "peakSamples": result.samples_read,
        },
    });
    format!(r#","stats":{stats}"#)
}

/// `,"warnings":[…]`, or nothing when there are none.
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

/// What stands around the elements of a text.
pub(super) struct Text {
    pub(super) content_type: &'static str,
    pub(super) head: String,
    pub(super) separator: &'static str,
    pub(super) tail: String,
}

impl Text {
    /// Elements of a JSON array or object.
    pub(super) fn json(head: String, tail: String) -> Self {
        Self {
            content_type: "application/json",
            head,
            separator: ",",
            tail,
        }
    }
}

/// `head`, the elements as `write` appends them with separators between them, `tail`.
pub(super) fn streamed<T: 'static>(
    text: Text,
    elements: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
    write: impl FnMut(&mut String, T) + Send + 'static,
) -> Response {
    let headers = [(CONTENT_TYPE, text.content_type)];
    let mut pieces = Pieces {
        elements: Some(elements.into_iter()),
        write,
        next: text.head,
        begun: false,
        separator: text.separator,
        tail: text.tail,
    };
    let first = pieces.next().unwrap_or_default();
    let body = if pieces.elements.is_none() {
        Body::from(first)
    } else {
        let pieces = iter::once(first).chain(pieces).map(Ok::<_, Infallible>);
        Body::from_stream(stream::iter(pieces))
    };
    (headers, body).into_response()
}

/// A text in pieces of about [`PIECE`] bytes.
struct Pieces<I, W> {
    /// `None` when the tail is written.
    elements: Option<I>,
    write: W,
    /// What the next piece begins with.
    next: String,
    /// Whether an element was written.
    begun: bool,
    separator: &'static str,
    tail: String,
}

impl<I: Iterator, W: FnMut(&mut String, I::Item)> Iterator for Pieces<I, W> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let elements = self.elements.as_mut()?;
        let mut piece = std::mem::take(&mut self.next);
        while piece.len() < PIECE {
            let Some(element) = elements.next() else {
                piece.push_str(&self.tail);
                self.elements = None;
                break;
            };
            if self.begun {
                piece.push_str(self.separator);
            }
            self.begun = true;
            (self.write)(&mut piece, element);
        }
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{HttpBody as _, to_bytes};
    use model::Labels;
    use promql::{Annotations, FloatColumn, Series, Span};

    use super::*;

    fn result(value: QueryValue) -> QueryResult {
        let mut annotations = Annotations::default();
        annotations.info(Span::new(0, 1), "noted");
        QueryResult {
            value,
            annotations,
            samples_read: 2,
            series_read: 1,
            samples_seen: 3,
        }
    }

    fn matrix(series: usize) -> QueryValue {
        let series = (0..series).map(|number| Series {
            labels: Labels::new([("n", number.to_string())]),
            floats: FloatColumn {
                timestamps_ms: vec![1_000, 2_500],
                values: vec![1.0, f64::INFINITY],
            },
            ..Series::default()
        });
        QueryValue::Matrix(series.collect())
    }

    async fn text(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn keys_come_in_the_order_that_grafana_streams() {
        let value = QueryValue::Scalar {
            timestamp_ms: 4_000,
            value: 2.0,
        };
        assert_eq!(
            text(query_result(result(value), "x", 1, None)).await,
            r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]},"infos":["PromQL info: noted (1:1)"]}"#
        );
        assert_eq!(
            text(query_result(result(matrix(2)), "x", 1, None)).await,
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"n":"0"},"values":[[1,"1"],[2.500,"+Inf"]]}]},"warnings":["results truncated due to limit"],"infos":["PromQL info: noted (1:1)"]}"#
        );
        let stats = Some(Stats {
            queued: Duration::ZERO,
            evaluated: Duration::from_millis(500),
        });
        let answer = text(query_result(result(matrix(0)), "x", 1, stats)).await;
        let start = r#"{"status":"success","data":{"resultType":"matrix","result":[],"stats":{"#;
        assert!(answer.starts_with(start), "{answer}");
        assert!(answer.contains(r#""totalQueryableSamples":3"#), "{answer}");
    }

    #[tokio::test]
    async fn what_is_long_comes_in_pieces_and_is_whole() {
        let short = query_result(result(matrix(10)), "x", usize::MAX, None);
        assert!(short.body().size_hint().exact().is_some());
        let long = query_result(result(matrix(10_000)), "x", usize::MAX, None);
        assert!(long.body().size_hint().exact().is_none());
        let read: serde_json::Value = serde_json::from_str(&text(long).await).unwrap();
        let series = read["data"]["result"].as_array().unwrap();
        assert_eq!(series.len(), 10_000);
        assert_eq!(series[9_999]["metric"]["n"], "9999");
        let names = (0..50_000).map(|number| format!("name{number}"));
        let list = list(names, true, |out, name| push_text(out, &name));
        let read: serde_json::Value = serde_json::from_str(&text(list).await).unwrap();
        assert_eq!(read["data"].as_array().unwrap().len(), 50_000);
        assert_eq!(read["warnings"][0], TRUNCATED);
    }
}
