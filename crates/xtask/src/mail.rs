//! A mail server that delivers nothing: it keeps every message and shows it.
//!
//! SMTP comes in at one address; messages are files (`0001.eml`, …) in a folder, and a small web
//! page with a JSON list beside it serves people and tests.

mod page;
mod session;

use std::fs;
use std::future::IntoFuture as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use mail_parser::MessageParser;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections served at the same time; more wait in the listener's queue.
const MAX_SESSIONS: usize = 64;
/// Messages kept in memory and shown; older ones remain as files.
const MAX_SHOWN: usize = 10_000;

/// A message as it was caught.
#[derive(Debug, Clone, Serialize)]
pub struct CaughtMail {
    /// 1 for the first since the start.
    pub number: usize,
    /// Arrival, RFC 3339.
    pub received_at: String,
    /// Sender and recipients of the SMTP envelope.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
    /// The decoded `Subject`.
    pub subject: String,
    /// The plain text part, or the HTML part as text.
    pub text: String,
    /// The HTML part, if there is one.
    pub html: Option<String>,
    /// The message as received.
    #[serde(skip)]
    raw: Arc<[u8]>,
}

/// The running catcher.
#[derive(Debug)]
pub struct MailCatcher {
    smtp: SocketAddr,
    http: SocketAddr,
    store: MailStore,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl MailCatcher {
    /// Listens at both addresses and keeps messages in `folder`; `on_mail` is called with each.
    ///
    /// # Errors
    ///
    /// When an address is taken or the folder cannot be made.
    pub async fn start(
        smtp: SocketAddr,
        http: SocketAddr,
        folder: PathBuf,
        on_mail: impl Fn(&CaughtMail) + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let smtp = TcpListener::bind(smtp)
            .await
            .with_context(|| format!("listen on {smtp}"))?;
        let http = TcpListener::bind(http)
            .await
            .with_context(|| format!("listen on {http}"))?;
        let catcher = Self {
            smtp: smtp.local_addr().context("read the bound address")?,
            http: http.local_addr().context("read the bound address")?,
            store: MailStore {
                folder,
                messages: Arc::default(),
                on_mail: Arc::new(on_mail),
            },
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let stop = catcher.stop.clone();
        let sessions = session::serve(smtp, catcher.store.clone(), stop.clone());
        catcher.tasks.spawn(sessions);
        let pages = axum::serve(http, page::routes(catcher.store.clone()));
        catcher.tasks.spawn(
            pages
                .with_graceful_shutdown(stop.cancelled_owned())
                .into_future(),
        );
        Ok(catcher)
    }

    /// Where mail is sent to.
    pub fn smtp(&self) -> SocketAddr {
        self.smtp
    }

    /// Where messages are shown.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// All messages so far, oldest first.
    pub fn messages(&self) -> Vec<CaughtMail> {
        self.store.messages().clone()
    }

    /// Stops listening; what was caught stays in the folder.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[derive(Clone)]
struct MailStore {
    folder: PathBuf,
    messages: Arc<Mutex<Vec<CaughtMail>>>,
    on_mail: Arc<dyn Fn(&CaughtMail) + Send + Sync>,
}

impl std::fmt::Debug for MailStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("MailStore")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl MailStore {
    fn messages(&self) -> MutexGuard<'_, Vec<CaughtMail>> {
        // A panic elsewhere cannot leave the list half written.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Files a message. The answer to the sender depends on it, so it is on disk first.
    fn keep(&self, from: String, to: Vec<String>, raw: Vec<u8>) -> anyhow::Result<()> {
        let mail = {
            let mut messages = self.messages();
            let number = messages.last().map_or(0, |last| last.number) + 1;
            let file = self.folder.join(format!("{number:04}.eml"));
            fs::write(&file, &raw).with_context(|| format!("write {}", file.display()))?;
            let mail = read(number, from, to, raw);
            if messages.len() == MAX_SHOWN {
                messages.remove(0);
            }
            messages.push(mail.clone());
            mail
        };
        (self.on_mail)(&mail);
        Ok(())
    }
}

fn read(number: usize, from: String, to: Vec<String>, raw: Vec<u8>) -> CaughtMail {
    let parsed = MessageParser::default().parse(&raw);
    let part = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned);
    let (subject, text, html) = match &parsed {
        Some(message) => (
            message.subject().unwrap_or_default().to_owned(),
            part(message.body_text(0)).unwrap_or_default(),
            part(message.body_html(0)),
        ),
        None => (
            String::new(),
            String::from_utf8_lossy(&raw).into_owned(),
            None,
        ),
    };
    let received_at = jiff::Timestamp::now().to_string();
    CaughtMail {
        number,
        received_at,
        from,
        to,
        subject,
        text,
        html,
        raw: raw.into(),
    }
}
