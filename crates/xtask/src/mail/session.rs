//! The SMTP side: as much of RFC 5321 as a sender that may want to be strict needs.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{MAX_SESSIONS, MailStore};

/// RFC 5321 allows commands of 512 octets; parameters may add some.
const MAX_COMMAND: u64 = 4096;
/// Announced by `EHLO` and enforced.
const MAX_MESSAGE: usize = 8 * 1024 * 1024;
const MAX_RECIPIENTS: usize = 100;

/// Accepts connections until `stop`, then waits for those that are open.
pub(super) async fn serve(listener: TcpListener, store: MailStore, stop: CancellationToken) {
    let sessions = TaskTracker::new();
    let free = Arc::new(Semaphore::new(MAX_SESSIONS));
    loop {
        let Ok(permit) = free.clone().acquire_owned().await else {
            break;
        };
        let accepted = stop.run_until_cancelled(listener.accept()).await;
        let stream = match accepted {
            Some(Ok((stream, _))) => stream,
            Some(Err(_)) => continue,
            None => break,
        };
        let (store, stop) = (store.clone(), stop.clone());
        sessions.spawn(async move {
            let _held = permit;
            // A connection that breaks is the sender's to retry.
            stop.run_until_cancelled(Session::new(stream, store).run())
                .await;
        });
    }
    sessions.close();
    sessions.wait().await;
}

/// One connection and the message it is about to send.
struct Session {
    stream: BufReader<TcpStream>,
    store: MailStore,
    from: Option<String>,
    to: Vec<String>,
}

/// What a command wants done after its reply's first line.
enum Step {
    Reply(&'static str),
    Data,
    Quit,
}

impl Session {
    fn new(stream: TcpStream, store: MailStore) -> Self {
        Self {
            stream: BufReader::new(stream),
            store,
            from: None,
            to: Vec::new(),
        }
    }

    async fn run(mut self) -> std::io::Result<()> {
        self.reply("220 mail catcher ready").await?;
        while let Some(line) = self.line(MAX_COMMAND).await? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            match self.obey(&line) {
                Step::Reply(text) => self.reply(text).await?,
                Step::Data => self.receive().await?,
                Step::Quit => return self.reply("221 bye").await,
            }
        }
        Ok(())
    }

    fn obey(&mut self, line: &str) -> Step {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.forget();
                Step::Reply(
                    "250-mail catcher\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 SIZE 8388608",
                )
            }
            "HELO" => {
                self.forget();
                Step::Reply("250 mail catcher")
            }
            "MAIL" => self.sender(rest),
            "RCPT" => self.recipient(rest),
            "DATA" if self.to.is_empty() => Step::Reply("503 no recipient yet"),
            "DATA" => Step::Data,
            "RSET" => {
                self.forget();
                Step::Reply("250 forgotten")
            }
            "NOOP" => Step::Reply("250 nothing done"),
            "QUIT" => Step::Quit,
            "STARTTLS" | "AUTH" | "VRFY" | "EXPN" => Step::Reply("502 not offered"),
            _ => Step::Reply("500 unknown command"),
        }
    }

    fn sender(&mut self, rest: &str) -> Step {
        match address(rest, "FROM:") {
            Some(_) if self.from.is_some() => Step::Reply("503 one sender a message"),
            Some(from) => {
                self.from = Some(from);
                Step::Reply("250 sender noted")
            }
            None => Step::Reply("501 expected MAIL FROM:<address>"),
        }
    }

    fn recipient(&mut self, rest: &str) -> Step {
        match address(rest, "TO:") {
            _ if self.from.is_none() => Step::Reply("503 no sender yet"),
            _ if self.to.len() == MAX_RECIPIENTS => Step::Reply("452 too many recipients"),
            Some(to) if !to.is_empty() => {
                self.to.push(to);
                Step::Reply("250 recipient noted")
            }
            _ => Step::Reply("501 expected RCPT TO:<address>"),
        }
    }

    /// Reads a message up to the line with a single dot, and keeps it.
    async fn receive(&mut self) -> std::io::Result<()> {
        self.reply("354 end with a line that holds only a dot")
            .await?;
        let mut message = Vec::new();
        loop {
            let Some(line) = self.line(MAX_MESSAGE as u64).await? else {
                return Ok(());
            };
            if line == b".\r\n" || line == b".\n" {
                break;
            }
            // Past the limit the rest is read, so that the answer is heard, and dropped.
            if message.len() <= MAX_MESSAGE {
                message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            }
        }
        let (from, to) = (
            self.from.take().unwrap_or_default(),
            std::mem::take(&mut self.to),
        );
        if message.len() > MAX_MESSAGE {
            return self.reply("552 message too large").await;
        }
        match self.store.keep(from, to, message) {
            Ok(()) => self.reply("250 caught").await,
            Err(error) => {
                eprintln!("mail catcher: {error:#}");
                self.reply("451 could not be stored").await
            }
        }
    }

    /// The next line with its end, at most `limit` octets; `None` when the sender is gone.
    async fn line(&mut self, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut self.stream)
            .take(limit)
            .read_until(b'\n', &mut line)
            .await?;
        Ok(line.ends_with(b"\n").then_some(line))
    }

    async fn reply(&mut self, text: &str) -> std::io::Result<()> {
        self.stream
            .write_all(format!("{text}\r\n").as_bytes())
            .await
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }
}

/// The address in `FROM:<ann@example.org> SIZE=…`; empty for the null sender `<>`.
fn address(text: &str, prefix: &str) -> Option<String> {
    let head = text.get(..prefix.len())?;
    let rest = head
        .eq_ignore_ascii_case(prefix)
        .then(|| text[prefix.len()..].trim_start())?;
    let (address, _) = rest.strip_prefix('<')?.split_once('>')?;
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_their_brackets() {
        for (text, prefix, expected) in [
            ("FROM:<a@b.c>", "FROM:", Some("a@b.c")),
            (
                "from: <a@b.c> SIZE=10 BODY=8BITMIME",
                "FROM:",
                Some("a@b.c"),
            ),
            ("FROM:<>", "FROM:", Some("")),
            ("TO:<x@y>", "TO:", Some("x@y")),
            ("TO:x@y", "TO:", None),
            ("TO:<x@y", "TO:", None),
            ("FR", "FROM:", None),
            ("ÄÄÄ:<a>", "FROM:", None),
        ] {
            assert_eq!(address(text, prefix).as_deref(), expected, "{text:?}");
        }
    }
}
