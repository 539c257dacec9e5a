//! Exports: every matching record of one moment, as a file of any size.
//!
//! The file is sent as it is read, a page at a time, and the next page is read when the client has
//! taken the one before: memory stays that of two pages. Each page takes its own turn at the gate,
//! so a slow client keeps no query waiting. A client that takes nothing for as long as a query may
//! run is given up. Whatever goes wrong in the middle cuts the connection; a file that ends
//! properly is whole.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{FormRejection, JsonRejection, QueryRejection};
use axum::extract::{Form, FromRequest, Json, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::Deserialize;
use store::{FoundRecord, LogExport, LogPages};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::csv::Columns;
use super::search::OrderName;
use super::{TimeText, range};
use crate::app::{App, tenant};
use crate::http::ApiError;
use crate::http::record_json::RecordJson;
use crate::self_metrics;

/// `start,end,query,format,order,fields,limit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportRequest {
    start: TimeText,
    end: TimeText,
    #[serde(default)]
    query: String,
    #[serde(default)]
    format: FormatName,
    #[serde(default)]
    order: OrderName,
    fields: Option<String>,
    limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FormatName {
    #[default]
    Ndjson,
    Csv,
}

/// What records are written as.
#[derive(Debug)]
enum Format {
    Ndjson,
    Csv(Columns),
}

/// Streams every matching record.
pub(super) async fn export(
    State(app): State<App>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let request = read(request).await?;
    let tenant = tenant(&headers)?;
    let format = request.format()?;
    let export = LogExport {
        range: range(&request.start, &request.end)?,
        query: request.query,
        order: request.order.into(),
        limit: request.limit,
    };
    let pages = app.store.export_logs(&tenant, export);
    let mut pages = app.queries.run(None, pages).await??;
    // What fails at once is answered as an error, not as a file that breaks off.
    let first = next_page(&app, &mut pages).await?;
    let mut text = format.beginning();
    let is_whole = first.is_none();
    format.write(&first.unwrap_or_default(), &mut text);
    let (content_type, file) = match format {
        Format::Ndjson => ("application/x-ndjson", "logs.ndjson"),
        Format::Csv(_) => ("text/csv; charset=utf-8; header=present", "logs.csv"),
    };
    let body = if is_whole {
        Body::from(text)
    } else {
        body(app, pages, format, text)
    };
    let headers = [
        (CONTENT_TYPE, content_type.to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{file}\""),
        ),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// The request from the URL, a form or JSON.
async fn read(request: Request) -> Result<ExportRequest, ApiError> {
    let is_json = request.headers().get(CONTENT_TYPE).is_some_and(|value| {
        let text = value.to_str().unwrap_or_default();
        text.starts_with("application/json")
    });
    if request.method() != Method::POST {
        let read: Result<_, QueryRejection> = Query::try_from_uri(request.uri());
        Ok(read.map(|Query(request)| request)?)
    } else if is_json {
        let read: Result<_, JsonRejection> = Json::from_request(request, &()).await;
        Ok(read.map(|Json(request)| request)?)
    } else {
        let read: Result<_, FormRejection> = Form::from_request(request, &()).await;
        Ok(read.map(|Form(request)| request)?)
    }
}

impl ExportRequest {
    fn format(&self) -> Result<Format, ApiError> {
        match (self.format, self.fields.as_deref()) {
            (FormatName::Ndjson, None) => Ok(Format::Ndjson),
            (FormatName::Ndjson, Some(_)) => Err(ApiError::bad_request(
                "\"fields\" are the columns of a CSV file; format=ndjson has whole records",
            )),
            (FormatName::Csv, None) => Ok(Format::Csv(Columns::default())),
            (FormatName::Csv, Some(list)) => {
                Columns::read(list).map(Format::Csv).ok_or_else(|| {
                    ApiError::bad_request(format!(
                        "fields {list:?} has an empty name; expected a list such as timestamp,body"
                    ))
                })
            }
        }
    }
}

impl Format {
    /// What comes before the first record.
    fn beginning(&self) -> String {
        let mut text = String::new();
        if let Self::Csv(columns) = self {
            columns.write_names(&mut text);
        }
        text
    }

    fn write(&self, records: &[FoundRecord], text: &mut String) {
        for found in records {
            match self {
                Self::Csv(columns) => columns.write(found, text),
                Self::Ndjson => {
                    let json = serde_json::json!(RecordJson::new(found.seq, &found.record));
                    text.push_str(&json.to_string());
                    text.push('\n');
                }
            }
        }
    }
}

/// The next page, in its turn.
async fn next_page(app: &App, pages: &mut LogPages) -> Result<Option<Vec<FoundRecord>>, ApiError> {
    Ok(app.queries.run(None, pages.next()).await??)
}

/// A piece of the file; or its end, without which the file is not whole.
enum Piece {
    Text(String),
    End,
}

/// The file from its `beginning` on, read by a task that ends with the body.
fn body(app: App, pages: LogPages, format: Format, beginning: String) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    let stall = app.queries.timeout();
    let running = Running::begin();
    let reading = tokio::spawn(async move {
        let _running = running;
        // The error was told where it happened; the client sees a file without an end.
        if let Err(reason) = send(&app, pages, &format, &sender, (beginning, stall)).await {
            tracing::warn!(reason, "an export was cut off");
        }
    });
    let state = (receiver, AbortOnDropHandle::new(reading));
    let pieces = stream::unfold(Some(state), |state| async move {
        let (mut receiver, reading) = state?;
        match receiver.recv().await {
            Some(Piece::Text(text)) => Some((Ok(Bytes::from(text)), Some((receiver, reading)))),
            Some(Piece::End) => None,
            None => Some((Err(std::io::Error::other("the export was cut off")), None)),
        }
    });
    // Compression asks once more after the end.
    Body::from_stream(pieces.fuse())
}

/// Sends the file piece by piece.
///
/// # Errors
///
/// Why it broke off.
async fn send(
    app: &App,
    mut pages: LogPages,
    format: &Format,
    sender: &mpsc::Sender<Piece>,
    (beginning, stall): (String, Duration),
) -> Result<(), String> {
    let mut text = beginning;
    loop {
        if !text.is_empty() {
            let piece = Piece::Text(std::mem::take(&mut text));
            deliver(sender, piece, stall).await?;
        }
        match next_page(app, &mut pages).await {
            Ok(Some(records)) => format.write(&records, &mut text),
            Ok(None) => return deliver(sender, Piece::End, stall).await,
            Err(error) => return Err(error.message().to_owned()),
        }
    }
}

async fn deliver(
    sender: &mpsc::Sender<Piece>,
    piece: Piece,
    stall: Duration,
) -> Result<(), String> {
    match tokio::time::timeout(stall, sender.send(piece)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("the client went away".to_owned()),
        Err(_) => Err(format!(
            "the client took nothing for {} s",
            stall.as_secs_f64()
        )),
    }
}

/// Counts an export for as long as it is sent.
struct Running;

impl Running {
    fn begin() -> Self {
        metrics::gauge!(self_metrics::EXPORTS).increment(1.0);
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        metrics::gauge!(self_metrics::EXPORTS).decrement(1.0);
    }
}
