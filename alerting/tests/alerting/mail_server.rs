//! A mail server small enough for a test: it takes mail, and refuses it when told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A mail as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
}

impl Mail {
    /// A header's value, folded lines joined.
    pub(crate) fn header(&self, name: &str) -> String {
        let head = self.text.split("\r\n\r\n").next().unwrap_or("");
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let prefix = format!("{name}: ");
        unfolded
            .lines()
            .find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
            .unwrap_or_default()
    }

    /// The text with quoted-printable line breaks and escapes undone.
    pub(crate) fn readable(&self) -> String {
        self.text.replace("=\r\n", "").replace("=3D", "=")
    }
}

/// A running server; dropping it ends it.
pub(crate) struct MailServer {
    pub(crate) port: u16,
    mails: watch::Receiver<Vec<Mail>>,
    refusals: Arc<Mutex<VecDeque<String>>>,
    task: JoinHandle<()>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let refusals: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let (sender, mails) = watch::channel(Vec::new());
        let sender = Arc::new(sender);
        let shared = Arc::clone(&refusals);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&sender), Arc::clone(&shared)));
            }
        });
        Self {
            port,
            mails,
            refusals,
            task,
        }
    }

    /// The next RCPT command is answered with `reply`.
    pub(crate) fn refuse_next(&self, reply: &str) {
        self.refusals.lock().unwrap().push_back(reply.to_owned());
    }

    /// Everything that arrived so far.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.borrow().clone()
    }

    pub(crate) fn subjects(&self) -> Vec<String> {
        self.mails
            .borrow()
            .iter()
            .map(|mail| mail.header("Subject"))
            .collect()
    }
}

async fn serve(
    stream: TcpStream,
    mails: Arc<watch::Sender<Vec<Mail>>>,
    refusals: Arc<Mutex<VecDeque<String>>>,
) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test\r\n").await.ok()?;
    let mut to = Vec::new();
    while let Some(line) = lines.next_line().await.ok()? {
        let command = line.to_ascii_uppercase();
        let reply = if command.starts_with("EHLO") || command.starts_with("MAIL") {
            "250 ok".to_owned()
        } else if command.starts_with("RCPT") {
            let refusal = refusals.lock().unwrap().pop_front();
            refusal.unwrap_or_else(|| {
                to.push(line[8..].trim_matches(['<', '>']).to_owned());
                "250 ok".to_owned()
            })
        } else if command == "DATA" {
            write.write_all(b"354 go on\r\n").await.ok()?;
            let mut text = String::new();
            while let Some(line) = lines.next_line().await.ok()? {
                if line == "." {
                    break;
                }
                text.push_str(line.strip_prefix('.').unwrap_or(&line));
                text.push_str("\r\n");
            }
            let to = std::mem::take(&mut to);
            mails.send_modify(|all| all.push(Mail { to, text }));
            "250 taken".to_owned()
        } else if command == "QUIT" {
            write.write_all(b"221 bye\r\n").await.ok()?;
            return Some(());
        } else {
            "250 ok".to_owned()
        };
        write
            .write_all(format!("{reply}\r\n").as_bytes())
            .await
            .ok()?;
    }
    Some(())
}
