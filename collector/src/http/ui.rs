//! The web UI under `/ui/`, built into the binary.
//!
//! Paths without a file extension are the single page's own routes and get its `index.html`;
//! a missing file is a 404. A binary built without the UI says how to build it.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::app::App;

#[derive(RustEmbed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Files;

/// The page makes no request to anywhere else. Styles are set inline by the charts.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     frame-ancestors 'self'; base-uri 'self'; form-action 'self'";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Watchkeeper</title>\
<h1>The web UI is not part of this build</h1>\
<p>Build it with Node 20 or later, then build the server again:</p>\
<pre>cd collector/ui &amp;&amp; npm ci &amp;&amp; npm run build\ncargo build</pre>\
<p><code>cargo xtask demo</code> does both. The APIs work without it.</p></html>";

/// `/ui` and everything below.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/ui", get(|| async { Redirect::permanent("/ui/") }))
        .route("/ui/", get(|| async { file("index.html") }))
        .route(
            "/ui/{*path}",
            get(|Path(path): Path<String>| async move { file(&path) }),
        )
}

fn file(path: &str) -> Response {
    if let Some(file) = Files::get(path) {
        return embedded(path, file);
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.contains('.') && last != "index.html" {
        return (StatusCode::NOT_FOUND, "404 page not found").into_response();
    }
    match Files::get("index.html") {
        Some(page) => embedded("index.html", page),
        None => (StatusCode::OK, Html(NOT_BUILT)).into_response(),
    }
}

fn embedded(path: &str, file: EmbeddedFile) -> Response {
    // The build puts a hash into the names of assets, so they never change.
    let caching = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    (
        [
            (CONTENT_TYPE, file.metadata.mimetype()),
            (CACHE_CONTROL, caching),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ],
        file.data,
    )
        .into_response()
}
