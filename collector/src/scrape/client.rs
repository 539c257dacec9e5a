//! The HTTP client of a job: authentication, TLS, proxy, and answers that stay within bounds.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use reqwest::{Certificate, Identity, NoProxy, Proxy, Response, Url, redirect, tls};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::Compression;

use super::config::{Auth, HttpSettings, Pem, SecretSource, TlsVersion};

/// How the server names itself.
pub(crate) const NAME: HeaderValue =
    HeaderValue::from_static(concat!("Watchkeeper/", env!("CARGO_PKG_VERSION")));
/// How long a connection may take; the timeout of the whole request is the caller's.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many redirects are followed.
const MAX_REDIRECTS: usize = 10;

/// An HTTP client and as whom it asks.
pub(crate) struct Client {
    client: reqwest::Client,
    auth: Option<Auth>,
    headers: Vec<(String, SecretSource)>,
}

/// An answer of success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) content_type: String,
    compression: Compression,
    body: Bytes,
    /// The room that the body takes, as long as the answer is there.
    _held: Option<OwnedSemaphorePermit>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    /// The reason in a sentence.
    pub(crate) message: String,
    /// Whether it is that the answer is larger than it may be.
    pub(crate) is_too_large: bool,
}

impl From<String> for NoAnswer {
    fn from(message: String) -> Self {
        Self {
            message,
            is_too_large: false,
        }
    }
}

impl From<NoAnswer> for String {
    fn from(reason: NoAnswer) -> Self {
        reason.message
    }
}

/// Bytes of answers that may be held at the same time.
pub(crate) struct Room {
    kibibytes: Arc<Semaphore>,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            kibibytes: Arc::new(Semaphore::new(
                bytes.div_ceil(1 << 10).min(Semaphore::MAX_PERMITS),
            )),
        }
    }

    /// Waits until there is room for `bytes` more; `None` never happens, since the semaphore is
    /// not closed.
    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let kibibytes = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let kibibytes_of = Arc::clone(&self.kibibytes);
        kibibytes_of.acquire_many_owned(kibibytes).await.ok()
    }
}

impl Client {
    /// A client as configured. Reads the files of certificates.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or holds no certificate or key.
    pub(crate) fn build(settings: &HttpSettings) -> Result<Self, String> {
        let redirects = match settings.follow_redirects {
            true => redirect::Policy::limited(MAX_REDIRECTS),
            false => redirect::Policy::none(),
        };
        let mut builder = reqwest::Client::builder()
            .redirect(redirects)
            .connect_timeout(CONNECT_TIMEOUT)
            .tls_danger_accept_invalid_certs(settings.tls.insecure)
            // The environment's proxies are not meant for targets.
            .no_proxy();
        if let Some(url) = &settings.proxy {
            let proxy = Proxy::all(&url.0).map_err(|_| "proxy_url is no URL".to_owned())?;
            let except = settings.no_proxy.as_deref().and_then(NoProxy::from_string);
            builder = builder.proxy(proxy.no_proxy(except));
        }
        if let Some(pem) = pem("ca", &settings.tls.ca)? {
            let trusted = Certificate::from_pem_bundle(pem.as_bytes());
            let trusted = trusted.ok().filter(|trusted| !trusted.is_empty());
            builder = builder.tls_certs_only(trusted.ok_or("ca holds no certificate in PEM")?);
        }
        let certificate = pem("cert", &settings.tls.certificate)?;
        if let Some((certificate, key)) = certificate.zip(pem("key", &settings.tls.key)?) {
            let identity = Identity::from_pem(format!("{certificate}\n{key}").as_bytes());
            let identity = identity.map_err(|err| format!("cert and key: {err}"))?;
            builder = builder.identity(identity);
        }
        if settings.tls.least == Some(TlsVersion::V1_3) {
            builder = builder.tls_version_min(tls::Version::TLS_1_3);
        }
        if settings.tls.most == Some(TlsVersion::V1_2) {
            builder = builder.tls_version_max(tls::Version::TLS_1_2);
        }
        Ok(Self {
            client: builder.build().map_err(|err| in_full(&err))?,
            auth: settings.auth.clone(),
            headers: settings.headers.clone(),
        })
    }

    /// Asks for `url` and reads an answer of at most `limit` bytes, compressed, while `room` has
    /// room for it.
    ///
    /// # Errors
    ///
    /// No connection, another status than 200, too large a body, a secret's file that cannot be
    /// read.
    pub(crate) async fn get(
        &self,
        url: Url,
        headers: HeaderMap,
        limit: usize,
        room: &Room,
    ) -> Result<Answer, NoAnswer> {
        let mut request = self.client.get(url).headers(headers);
        request = match &self.auth {
            None => request,
            Some(Auth::Basic { username, password }) => {
                let password = match password {
                    Some(password) => Some(password.read().await?),
                    None => None,
                };
                request.basic_auth(username.read().await?, password)
            }
            Some(Auth::Header {
                scheme,
                credentials,
            }) => {
                let credentials = credentials.read().await?;
                request.header(AUTHORIZATION, secret(&format!("{scheme} {credentials}"))?)
            }
        };
        for (name, source) in &self.headers {
            let name: HeaderName = name.parse().map_err(|_| format!("bad header {name:?}"))?;
            request = request.header(name, secret(&source.read().await?)?);
        }
        // The URL may hold a secret among its parameters.
        let response = request
            .send()
            .await
            .map_err(|err| in_full(&err.without_url()))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("server returned HTTP status {}", response.status()).into());
        }
        let content_type = text_of(&response, CONTENT_TYPE);
        let compression = text_of(&response, CONTENT_ENCODING);
        let compression: Compression = compression
            .parse()
            .map_err(|err: wire::DecompressError| err.to_string())?;
        let (body, held) = body(response, limit, room).await?;
        Ok(Answer {
            content_type,
            compression,
            body,
            _held: held,
        })
    }
}

impl Answer {
    /// The body, at most `limit` bytes of it.
    ///
    /// # Errors
    ///
    /// A larger or malformed body.
    pub(crate) fn decompressed(&self, limit: usize) -> Result<Bytes, NoAnswer> {
        wire::decompress(self.compression, self.body.clone(), limit).map_err(|err| match err {
            wire::DecompressError::TooLarge { limit } => too_large(limit),
            other => other.to_string().into(),
        })
    }
}

fn too_large(limit: usize) -> NoAnswer {
    NoAnswer {
        message: format!("the answer is larger than {limit} bytes; see body_size_limit"),
        is_too_large: true,
    }
}

/// The body as sent, and the room that it takes.
async fn body(
    mut response: Response,
    limit: usize,
    room: &Room,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), NoAnswer> {
    let mut body = BytesMut::new();
    let mut held: Option<OwnedSemaphorePermit> = None;
    let mut reserved = 0;
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|err| in_full(&err.without_url()))?
    {
        let length = body.len() + chunk.len();
        if length > limit {
            return Err(too_large(limit));
        }
        if length > reserved {
            // As much again as there is, so that large bodies do not ask for every piece.
            let more = length.min(limit - reserved);
            let permit = room.take(more).await;
            reserved += more;
            match (&mut held, permit) {
                (Some(held), Some(permit)) => held.merge(permit),
                (held, permit) => *held = permit,
            }
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), held))
}

fn text_of(response: &Response, name: HeaderName) -> String {
    let value = response.headers().get(name).map(HeaderValue::as_bytes);
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// A header's value that is not printed.
fn secret(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| "a configured header's value has characters that headers cannot have")?;
    value.set_sensitive(true);
    Ok(value)
}

fn pem(name: &str, source: &Pem) -> Result<Option<String>, String> {
    match source {
        None => Ok(None),
        Some(SecretSource::Inline(text)) => Ok(Some(text.0.clone())),
        Some(SecretSource::File(path)) => std::fs::read_to_string(path)
            .map(Some)
            .map_err(|err| format!("{name}: read {}: {err}", path.display())),
    }
}

/// An error with its causes, which hold what really happened.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
