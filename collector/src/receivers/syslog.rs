//! Syslog over TCP and UDP: messages are gathered into batches, and each batch is one request.
//!
//! Nobody answers a syslog sender, so what cannot be stored at once must be held or lost. A TCP
//! connection is not read while its batch waits for the store, which slows its sender down. UDP
//! has no such means: a bounded number of batches waits, and datagrams past them are dropped,
//! counted and logged.
//!
//! ```text
//! connection ─► batch (128 KiB or 200 ms) ─► store, again until it takes it
//! datagrams  ─► batch ─► 32 batches ───────► store
//! ```

use std::net::IpAddr;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use model::{Encoding, Signal, TenantId};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::syslog::{Batch, Frame, next_frame};

use super::{Refused, ingest};
use crate::app::App;
use crate::self_metrics;

/// A batch goes to the store when it has so many bytes,
const BATCH_BYTES: usize = 128 << 10;
/// or when its first message has waited for so long.
const BATCH_DELAY: Duration = Duration::from_millis(200);
/// The longest message over TCP; a longer line is cut.
const MESSAGE_BYTES: usize = 1 << 20;
/// Room for one read of a connection.
const READ_BYTES: usize = 16 << 10;
/// Unread bytes of a connection that are not taken from the budget of bodies.
const FREE_BYTES: usize = 64 << 10;
/// Connections at the same time; more wait to be accepted.
const CONNECTIONS: usize = 512;
/// Batches of datagrams that wait for the store.
const WAITING_BATCHES: usize = 32;
/// The largest datagram.
const DATAGRAM_BYTES: usize = 64 << 10;
/// How often drops are logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Where messages go, and how times without a zone are read.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) app: App,
    pub(crate) tenant: TenantId,
    /// Seconds ahead of UTC.
    pub(crate) utc_offset: i32,
    /// Cancelled when the server stops.
    pub(crate) stop: CancellationToken,
}

impl Sink {
    fn batch(&self) -> Batch {
        Batch::new(self.utc_offset)
    }

    /// Stores a batch, however long that takes; only a server that stops gives up.
    async fn store(&self, transport: &'static str, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let messages = batch.messages() as u64;
        let body = Bytes::from(batch.take());
        let _permit = self.app.bodies.wait(body.len()).await;
        loop {
            let tenant = self.tenant.clone();
            let encoding = Encoding::Syslog;
            let stored = ingest(&self.app, tenant, Signal::Logs, encoding, body.clone()).await;
            let refused = match stored {
                Ok(outcome) => {
                    metrics::counter!(self_metrics::SYSLOG_MESSAGES, "transport" => transport)
                        .increment(messages);
                    if outcome.rejected > 0 {
                        let why = super::rejections(&outcome, "messages");
                        tracing::warn!(transport, "syslog: {why}");
                    }
                    return;
                }
                Err(refused) => refused,
            };
            let patience = retry(&refused).filter(|_| !self.stop.is_cancelled());
            let Some(patience) = patience else {
                count_dropped(transport, messages);
                let reason = &refused.refusal.message;
                tracing::error!(transport, messages, reason, "syslog messages are lost");
                return;
            };
            tokio::select! {
                () = sleep(patience) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }
}

/// When to try again; `None` when that cannot help.
fn retry(refused: &Refused) -> Option<Duration> {
    refused.refusal.retry_after.map(Duration::from_secs)
}

fn count_dropped(transport: &'static str, messages: u64) {
    metrics::counter!(self_metrics::SYSLOG_DROPPED, "transport" => transport).increment(messages);
}

/// Accepts connections until the server stops, then waits for them.
pub(crate) async fn serve_tcp(listener: TcpListener, sink: Sink) {
    let connections = TaskTracker::new();
    let slots = std::sync::Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = sink.stop.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, sender, slot)) => {
                let sink = sink.clone();
                connections.spawn(async move {
                    connection(stream, sender, &sink).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "syslog: a connection was not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn accept(
    listener: &TcpListener,
    slots: &std::sync::Arc<Semaphore>,
) -> std::io::Result<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    let slot = std::sync::Arc::clone(slots).acquire_owned().await;
    let slot = slot.map_err(std::io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, canonical(address.ip()), slot))
}

/// An IPv4 sender as such, also on a socket that serves both.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Reads a connection to its end, or until the server stops.
async fn connection(mut stream: TcpStream, sender: IpAddr, sink: &Sink) {
    let mut unread = BytesMut::with_capacity(FREE_BYTES);
    let mut batch = sink.batch();
    let mut due: Option<Instant> = None;
    let mut _long_message = None;
    loop {
        if !split(&mut unread, sender, &mut batch, sink).await {
            break;
        }
        // A message that is longer than a buffer of its own is held in the budget of bodies.
        _long_message = match unread.len() >= FREE_BYTES {
            true => sink.app.bodies.wait(MESSAGE_BYTES).await,
            false => None,
        };
        unread.reserve(READ_BYTES);
        due = match batch.is_empty() {
            true => None,
            false => due.or_else(|| Some(Instant::now() + BATCH_DELAY)),
        };
        tokio::select! {
            read = stream.read_buf(&mut unread) => match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%sender, %error, "a syslog connection broke");
                    break;
                }
            },
            () = until(due) => {
                sink.store("tcp", &mut batch).await;
                due = None;
            }
            () = sink.stop.cancelled() => {
                // What has arrived is taken; it would be lost with the connection.
                while unread.len() < MESSAGE_BYTES
                    && stream.try_read_buf(&mut unread).is_ok_and(|read| read > 0)
                {
                    split(&mut unread, sender, &mut batch, sink).await;
                }
                break;
            }
        }
    }
    // The last line may lack its end, and a counted message be cut off.
    if !unread.is_empty() {
        batch.push(sender, &unread);
    }
    sink.store("tcp", &mut batch).await;
}

/// Moves whole messages into the batch, and full batches into the store; `false` when the stream
/// cannot be followed any further.
async fn split(unread: &mut BytesMut, sender: IpAddr, batch: &mut Batch, sink: &Sink) -> bool {
    loop {
        match next_frame(unread, MESSAGE_BYTES) {
            Frame::Message(message, taken) => {
                if !message.is_empty() {
                    batch.push(sender, message);
                }
                unread.advance(taken);
                if batch.size() >= BATCH_BYTES {
                    sink.store("tcp", batch).await;
                }
            }
            Frame::Partial => return true,
            Frame::TooLong(length) => {
                tracing::warn!(
                    %sender, length, limit = MESSAGE_BYTES,
                    "a syslog message is announced to be too long; the connection is closed"
                );
                count_dropped("tcp", 1);
                unread.clear();
                return false;
            }
        }
    }
}

/// Ends when the batch is due; never without one.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Receives datagrams until the server stops, then stores what has arrived.
pub(crate) async fn serve_udp(socket: UdpSocket, sink: Sink) {
    let (waiting, mut batches) = mpsc::channel::<Batch>(WAITING_BATCHES);
    let store = async {
        while let Some(mut batch) = batches.recv().await {
            sink.store("udp", &mut batch).await;
        }
    };
    let receive = async {
        let mut datagrams = Datagrams {
            batch: sink.batch(),
            due: None,
            waiting,
            dropped: Dropped::default(),
        };
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            tokio::select! {
                received = socket.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => datagrams.take(canonical(from.ip()), &buffer[..length], &sink),
                    // A port of a sender that is gone may be reported here; the socket is fine.
                    Err(error) => tracing::debug!(%error, "syslog over UDP"),
                },
                () = until(datagrams.due) => datagrams.hand_over(&sink),
                () = sink.stop.cancelled() => break,
            }
        }
        while let Ok((length, from)) = socket.try_recv_from(&mut buffer) {
            datagrams.take(canonical(from.ip()), &buffer[..length], &sink);
        }
        datagrams.hand_over(&sink);
        datagrams.dropped.report();
    };
    tokio::join!(receive, store);
}

/// Datagrams on their way into batches.
struct Datagrams {
    batch: Batch,
    due: Option<Instant>,
    waiting: mpsc::Sender<Batch>,
    dropped: Dropped,
}

impl Datagrams {
    fn take(&mut self, sender: IpAddr, message: &[u8], sink: &Sink) {
        if message.is_empty() {
            return;
        }
        self.batch.push(sender, message);
        self.due.get_or_insert_with(|| Instant::now() + BATCH_DELAY);
        if self.batch.size() >= BATCH_BYTES {
            self.hand_over(sink);
        }
    }

    fn hand_over(&mut self, sink: &Sink) {
        self.due = None;
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::replace(&mut self.batch, sink.batch());
        if let Err(refused) = self.waiting.try_send(batch) {
            self.dropped.add(refused.into_inner().messages() as u64);
        }
    }
}

/// Datagrams that found no room, logged now and then rather than one by one.
#[derive(Default)]
struct Dropped {
    unreported: u64,
    reported_at: Option<Instant>,
}

impl Dropped {
    fn add(&mut self, messages: u64) {
        count_dropped("udp", messages);
        self.unreported += messages;
        if self.reported_at.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.report();
        }
    }

    fn report(&mut self) {
        if self.unreported > 0 {
            tracing::error!(
                messages = self.unreported,
                "syslog over UDP: messages are lost, the store does not keep up"
            );
            self.unreported = 0;
            self.reported_at = Some(Instant::now());
        }
    }
}
