//! A target on this machine that shows what the test tells it to.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// What a target answers, at any path.
#[derive(Debug, Clone)]
pub(super) struct Page {
    status: u16,
    content_type: String,
    body: Vec<u8>,
    is_gzipped: bool,
    /// The `Authorization` that it asks for.
    authorization: Option<String>,
}

impl Page {
    pub(super) fn of_type(content_type: &str, body: &str) -> Self {
        Self {
            status: 200,
            content_type: content_type.to_owned(),
            body: body.as_bytes().to_vec(),
            is_gzipped: false,
            authorization: None,
        }
    }

    /// Prometheus' text format.
    pub(super) fn text(body: &str) -> Self {
        Self::of_type("text/plain; version=0.0.4", body)
    }

    pub(super) fn failing() -> Self {
        Self {
            status: 500,
            ..Self::text("x 5\n")
        }
    }

    pub(super) fn gzipped(mut self) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&self.body).unwrap();
        self.body = encoder.finish().unwrap();
        self.is_gzipped = true;
        self
    }

    /// The same for those alone who send this `Authorization`.
    pub(super) fn only_for(mut self, authorization: &str) -> Self {
        self.authorization = Some(authorization.to_owned());
        self
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let sent = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let wanted = self.authorization.as_deref().map(str::as_bytes);
        if wanted.is_some() && sent != wanted {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let status = StatusCode::from_u16(self.status).unwrap();
        let mut response = (status, self.body.clone()).into_response();
        let content_type = HeaderValue::from_str(&self.content_type).unwrap();
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        if self.is_gzipped {
            let accepts = headers.get("accept-encoding").map(HeaderValue::as_bytes);
            assert_eq!(accepts, Some(b"gzip".as_slice()));
            let gzip = HeaderValue::from_static("gzip");
            response.headers_mut().insert(CONTENT_ENCODING, gzip);
        }
        response
    }
}

/// A target; it ends with the test.
pub(super) struct Target {
    pub(super) address: String,
    page: Arc<Mutex<Page>>,
}

impl Target {
    pub(super) async fn start(page: Page) -> Self {
        let page = Arc::new(Mutex::new(page));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&page));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, page }
    }

    /// What it answers from now on.
    pub(super) fn show(&self, page: Page) {
        *self.page.lock().unwrap() = page;
    }
}

async fn answer(State(page): State<Arc<Mutex<Page>>>, headers: HeaderMap) -> Response {
    let page = page.lock().unwrap().clone();
    page.answer(&headers)
}
