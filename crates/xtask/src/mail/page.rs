//! The caught messages over HTTP: a page for people, JSON for tests, the raw file for the curious.

use std::fmt::Write as _;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::{CaughtMail, MailStore};

const STYLE: &str = "<meta charset=utf-8><meta name=color-scheme content='light dark'>\
    <style>body{font:15px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    td{padding:.2rem .8rem .2rem 0;vertical-align:top}pre{white-space:pre-wrap}</style>";

pub(super) fn routes(store: MailStore) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/messages/{number}", get(message))
        .route("/messages/{number}/raw", get(raw))
        .route("/api/messages", get(json))
        .with_state(store)
}

/// `GET /`: newest first; the page reloads itself.
async fn list(State(store): State<MailStore>) -> Html<String> {
    let mut page = format!(
        "<!doctype html><title>Mail catcher</title>{STYLE}<meta http-equiv=refresh content=5>\
         <h1>Caught mail</h1><table>"
    );
    for mail in store.messages().iter().rev() {
        write!(
            page,
            "<tr><td>{}<td>{}<td><a href=/messages/{}>{}</a>",
            escape(&mail.received_at),
            escape(&mail.to.join(", ")),
            mail.number,
            escape(&mail.subject),
        )
        .expect("writing to a String cannot fail");
    }
    page.push_str("</table>");
    Html(page)
}

/// `GET /messages/{number}`: the HTML part as sent, else the text.
async fn message(
    State(store): State<MailStore>,
    Path(number): Path<usize>,
) -> Result<Response, StatusCode> {
    let mail = find(&store, number)?;
    let page = mail.html.unwrap_or_else(|| {
        format!(
            "<!doctype html><title>Mail</title>{STYLE}<pre>{}</pre>",
            escape(&mail.text)
        )
    });
    // It comes from outside: links work, scripts do not.
    Ok(([(CONTENT_SECURITY_POLICY, "script-src 'none'")], Html(page)).into_response())
}

/// `GET /messages/{number}/raw`: the message as received.
async fn raw(
    State(store): State<MailStore>,
    Path(number): Path<usize>,
) -> Result<Response, StatusCode> {
    let mail = find(&store, number)?;
    Ok((
        [(CONTENT_TYPE, "text/plain; charset=utf-8")],
        mail.raw.to_vec(),
    )
        .into_response())
}

/// `GET /api/messages`: all of them, oldest first.
async fn json(State(store): State<MailStore>) -> Json<Vec<CaughtMail>> {
    Json(store.messages().clone())
}

fn find(store: &MailStore, number: usize) -> Result<CaughtMail, StatusCode> {
    let messages = store.messages();
    messages
        .iter()
        .find(|mail| mail.number == number)
        .cloned()
        .ok_or(StatusCode::NOT_FOUND)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
