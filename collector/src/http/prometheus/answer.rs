//! Answers in Prometheus' JSON: `status`, `data`, then `warnings` and `infos`.
//!
//! A list is written element by element. What fits into one piece is sent whole; what is longer is
//! sent while it is written, and each element is let go once it is.
//!
//! A query's result keeps its turn until it is sent. A client that takes nothing for as long as a
//! query may run is cut off, or a few of them would keep all queries waiting.

use std::convert::Infallible;
use std::time::Duration;
use std::{io, iter};

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use promql::{QueryResult, QueryValue};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::error::PromError;
use super::sample_json::{push_point, push_sample, push_seconds, push_series, push_text};
use crate::http::json_text;
use crate::query_cost::Turn;

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

/// What a long answer keeps until it is sent.
pub(super) struct Held {
    pub(super) turn: Turn,
    /// How long the client may take nothing.
    pub(super) stall: Duration,
}

/// A query's value and the remarks on it.
///
/// With a `limit`, at most so many series or samples of it; with `stats`, what it cost. What is
/// `held` is so until the answer is sent or nobody wants it.
pub(super) fn query_result(
    result: QueryResult,
    query: &str,
    limit: usize,
    stats: Option<Stats>,
    held: Option<Held>,
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
            let text = text("vector");
            streamed_holding(text, samples, |out, one| push_sample(out, &one), held)
        }
        QueryValue::Matrix(mut series) => {
            series.truncate(limit);
            let text = text("matrix");
            streamed_holding(text, series, |out, one| push_series(out, &one), held)
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
    streamed_holding(text, elements, write, None)
}

/// The same, and what is `held` is so until the text is sent.
fn streamed_holding<T: 'static>(
    text: Text,
    elements: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
    write: impl FnMut(&mut String, T) + Send + 'static,
    held: Option<Held>,
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
    let is_whole = pieces.elements.is_none();
    let pieces = iter::once(first).chain(pieces);
    let body = match held {
        // One piece is no burden, so nothing is held for it.
        _ if is_whole => Body::from(pieces.collect::<String>()),
        None => Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>))),
        Some(held) => paced(pieces, held),
    };
    (headers, body).into_response()
}

/// The pieces as the client takes them, sent by a task that ends with the body.
fn paced(pieces: impl Iterator<Item = String> + Send + 'static, held: Held) -> Body {
    // `None` is the end, without which the text is not whole.
    let (sender, receiver) = mpsc::channel::<Option<String>>(1);
    let sending = tokio::spawn(async move {
        let Held { turn, stall } = held;
        for piece in pieces.map(Some).chain(iter::once(None)) {
            match tokio::time::timeout(stall, sender.send(piece)).await {
                Ok(Ok(())) => {}
                // The client went away.
                Ok(Err(_)) => break,
                Err(_) => {
                    let seconds = stall.as_secs_f64();
                    tracing::warn!(seconds, "an answer was cut off: its client took nothing");
                    break;
                }
            }
        }
        drop(turn);
    });
    let state = (receiver, AbortOnDropHandle::new(sending));
    let pieces = stream::unfold(Some(state), |state| async move {
        let (mut receiver, sending) = state?;
        match receiver.recv().await {
            Some(Some(piece)) => Some((Ok(piece), Some((receiver, sending)))),
            Some(None) => None,
            None => Some((Err(io::Error::other("the answer was cut off")), None)),
        }
    });
    // Compression asks once more after the end.
    Body::from_stream(pieces.fuse())
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
    use crate::query_cost::QueryGate;

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
            text(query_result(result(value), "x", 1, None, None)).await,
            r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]},"infos":["PromQL info: noted (1:1)"]}"#
        );
        assert_eq!(
            text(query_result(result(matrix(2)), "x", 1, None, None)).await,
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"n":"0"},"values":[[1,"1"],[2.500,"+Inf"]]}]},"warnings":["results truncated due to limit"],"infos":["PromQL info: noted (1:1)"]}"#
        );
        let stats = Some(Stats {
            queued: Duration::ZERO,
            evaluated: Duration::from_millis(500),
        });
        let answer = text(query_result(result(matrix(0)), "x", 1, stats, None)).await;
        let start = r#"{"status":"success","data":{"resultType":"matrix","result":[],"stats":{"#;
        assert!(answer.starts_with(start), "{answer}");
        assert!(answer.contains(r#""totalQueryableSamples":3"#), "{answer}");
    }

    #[tokio::test]
    async fn what_is_long_comes_in_pieces_and_is_whole() {
        let short = query_result(result(matrix(10)), "x", usize::MAX, None, None);
        assert!(short.body().size_hint().exact().is_some());
        let long = query_result(result(matrix(10_000)), "x", usize::MAX, None, None);
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

    /// Whether no query gets its turn.
    async fn is_taken(gate: &QueryGate) -> bool {
        let short = Some(Duration::from_millis(20));
        gate.run(short, async {}).await.is_err()
    }

    /// An answer of so many series that holds its turn at `gate`.
    async fn holding(gate: &QueryGate, series: usize, stall: Duration) -> Response {
        let (value, turn) = gate.hold(None, async { matrix(series) }).await.unwrap();
        let held = Some(Held { turn, stall });
        query_result(result(value), "x", usize::MAX, None, held)
    }

    #[tokio::test]
    async fn a_long_answer_keeps_its_turn_until_it_is_sent_or_dropped() {
        let patience = Duration::from_secs(60);
        let gate = QueryGate::new(1, patience);
        let short = holding(&gate, 10, patience).await;
        assert!(!is_taken(&gate).await);
        drop(short);
        let long = holding(&gate, 10_000, patience).await;
        assert!(is_taken(&gate).await);
        drop(long);
        assert!(gate.run(None, async {}).await.is_ok());
        let long = holding(&gate, 10_000, patience).await;
        let read: serde_json::Value = serde_json::from_str(&text(long).await).unwrap();
        assert_eq!(read["data"]["result"].as_array().unwrap().len(), 10_000);
        assert!(gate.run(None, async {}).await.is_ok());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let gate = QueryGate::new(1, Duration::from_secs(60));
        let long = holding(&gate, 10_000, Duration::from_millis(10)).await;
        // Nobody reads, and the turn is free all the same.
        assert!(gate.run(None, async {}).await.is_ok());
        assert!(to_bytes(long.into_body(), usize::MAX).await.is_err());
    }
}
