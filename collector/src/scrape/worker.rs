//! One target: it is scraped at its moments until it vanishes or the server stops.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use model::{Labels, MetricMetadata, SeriesSample};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use wire::exposition::{Exposition, Format, Reading, read};

use super::batch::{self, Counts, Extra, Seen};
use super::client::{self, Answer, Client, NoAnswer, Room};
use super::config::Job;
use super::sink::Sink;
use super::status::{Health, LastScrape, PoolStatus, TargetStatus};
use super::target::Target;
use crate::{clock, self_metrics};

/// The most samples of one scrape: with the stale markers of as many and an exemplar for each,
/// they still fit into one record of the ingest log.
const MAX_SAMPLES: usize = 300_000;
/// How often metadata is written although it has not changed.
const DESCRIBE_AGAIN_MS: i64 = 600_000;
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// What all workers of a job use.
pub(crate) struct Tools {
    pub(crate) client: Client,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) room: Arc<Room>,
    /// Answers that may be turned into samples at the same time.
    pub(crate) turns: Arc<Semaphore>,
}

/// A target's worker.
pub(crate) struct Worker {
    pub(crate) job: Arc<Job>,
    pub(crate) pool: Arc<PoolStatus>,
    pub(crate) tools: Arc<Tools>,
    pub(crate) status: Arc<TargetStatus>,
    pub(crate) target: Target,
    /// Cancelled when the target vanishes, and with `stop`.
    pub(crate) gone: CancellationToken,
    /// Cancelled when the server stops.
    pub(crate) stop: CancellationToken,
}

/// What a worker knows of what it has written.
#[derive(Default)]
struct Memory {
    /// The series of the last scrape that was stored.
    seen: Arc<Seen>,
    /// Whether any scrape was.
    has_written: bool,
    /// The metadata that was stored last, hashed, and when.
    described: Option<(u64, i64)>,
    /// Whether the store did not take the last one.
    is_refused: bool,
}

/// A scrape, ready to be written.
struct Prepared {
    body: Vec<u8>,
    samples: usize,
    seen: Seen,
    described: Option<u64>,
    /// Why it failed.
    failure: Option<String>,
    took: Duration,
}

impl Worker {
    pub(crate) async fn run(self) {
        let schedule = self.target.schedule();
        let mut memory = Memory::default();
        let mut due_ms = schedule.next(clock::now_ms());
        while self.is_still_there_at(due_ms).await {
            let at_ms = schedule.time_of(due_ms, clock::now_ms());
            self.scrape(&mut memory, at_ms).await;
            due_ms = schedule.following(due_ms, clock::now_ms());
        }
        // After a restart the series go on; only those of a target that is gone have ended.
        if !self.stop.is_cancelled() && memory.has_written {
            self.end_series(&memory).await;
        }
    }

    /// Waits; whether the target is still to be scraped then.
    async fn is_still_there_at(&self, due_ms: i64) -> bool {
        let wait = due_ms.saturating_sub(clock::now_ms()).max(0).unsigned_abs();
        tokio::select! {
            () = self.gone.cancelled() => false,
            () = tokio::time::sleep(Duration::from_millis(wait)) => true,
        }
    }

    async fn scrape(&self, memory: &mut Memory, at_ms: i64) {
        let begun = Instant::now();
        let answer = tokio::select! {
            answer = self.ask() => answer,
            () = self.gone.cancelled() => return,
        };
        let Some(prepared) = self.prepare(answer, memory, at_ms, begun).await else {
            return;
        };
        let outcome = match &prepared.failure {
            None => "ok",
            Some(_) => "failed",
        };
        metrics::counter!(self_metrics::SCRAPES, "outcome" => outcome).increment(1);
        let mut last = LastScrape {
            health: match &prepared.failure {
                None => Health::Up,
                Some(_) => Health::Down,
            },
            error: prepared.failure.clone().unwrap_or_default(),
            at_ms: Some(at_ms),
            took: prepared.took,
        };
        if let Some(problem) = self.write(memory, prepared, at_ms).await {
            last.error = problem;
        }
        self.status.set_last(last);
    }

    /// The target's answer.
    async fn ask(&self) -> Result<Answer, NoAnswer> {
        if let Some(refusal) = self.pool.refusal() {
            return Err(refusal.into());
        }
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, client::NAME);
        if self.job.compression {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let seconds = self.target.timeout.duration().as_secs_f64().to_string();
        for (name, text) in [(ACCEPT, accept(&self.job)), (TIMEOUT_HEADER, seconds)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
        let limit = self.job.limits.body;
        let url = self.target.url.clone();
        let asked = self.tools.client.get(url, headers, limit, &self.tools.room);
        match tokio::time::timeout(self.target.timeout.duration(), asked).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {}", self.target.timeout).into()),
        }
    }

    /// Turns an answer into a message for the store, on the pool for such work. `None` when the
    /// server stops meanwhile.
    async fn prepare(
        &self,
        answer: Result<Answer, NoAnswer>,
        memory: &Memory,
        at_ms: i64,
        begun: Instant,
    ) -> Option<Prepared> {
        let turn = tokio::select! {
            turn = Arc::clone(&self.tools.turns).acquire_owned() => turn.ok()?,
            () = self.stop.cancelled() => return None,
        };
        let preparation = Preparation {
            job: Arc::clone(&self.job),
            target: self.target.labels.clone(),
            previous: Arc::clone(&memory.seen),
            described: memory.described,
            timeout: self.target.timeout.duration(),
            at_ms,
            begun,
            body_bytes: 0,
        };
        let prepared = tokio::task::spawn_blocking(move || {
            let prepared = preparation.run(answer);
            drop(turn);
            prepared
        });
        match prepared.await {
            Ok(prepared) => Some(prepared),
            Err(err) => {
                tracing::error!(url = %self.target, error = %err, "a scrape was not read");
                None
            }
        }
    }

    /// Writes a scrape; what is wrong with what was, if anything.
    async fn write(&self, memory: &mut Memory, prepared: Prepared, at_ms: i64) -> Option<String> {
        let samples = prepared.samples as u64;
        match self.hand_over(prepared.body).await {
            Ok(problem) => {
                memory.seen = Arc::new(prepared.seen);
                memory.has_written = true;
                memory.is_refused = false;
                if let Some(hash) = prepared.described {
                    memory.described = Some((hash, at_ms));
                }
                problem
            }
            // The next scrape compares with what was stored last, so no stale marker is lost.
            Err(problem) => {
                metrics::counter!(self_metrics::SCRAPE_SKIPPED_SAMPLES).increment(samples);
                if !memory.is_refused {
                    tracing::warn!(
                        url = %self.target,
                        job = self.job.name,
                        "scrapes are skipped while the store does not take them: {problem}"
                    );
                }
                memory.is_refused = true;
                Some(format!("the samples were not stored: {problem}"))
            }
        }
    }

    async fn hand_over(&self, body: Vec<u8>) -> Result<Option<String>, String> {
        let sink = &self.tools.sink;
        let written = sink
            .write(&self.job.tenant, body.into(), clock::now())
            .await;
        written
            .map(|written| written.rejected)
            .map_err(|refused| refused.0)
    }

    /// Marks the end of everything that the target has shown.
    async fn end_series(&self, memory: &Memory) {
        let at_ms = clock::now_ms();
        let mut samples = batch::failed(&memory.seen, at_ms);
        let extra = self.job.extra_metrics;
        samples.extend(batch::report_stale(&self.target.labels, extra, at_ms));
        let body = wire::remote_write::encode(&samples, &[]);
        if let Err(problem) = self.hand_over(body).await {
            metrics::counter!(self_metrics::SCRAPE_SKIPPED_SAMPLES).increment(samples.len() as u64);
            tracing::warn!(
                url = %self.target,
                job = self.job.name,
                "the series of a target that is gone are seen for some minutes more: {problem}"
            );
        }
    }
}

/// The `Accept` header of a job: its formats, each less wanted than the one before.
fn accept(job: &Job) -> String {
    let count = job.protocols.len();
    let mut parts: Vec<String> = job
        .protocols
        .iter()
        .enumerate()
        .map(|(index, protocol)| {
            let weight = (count - index + 1).min(9);
            format!("{};q=0.{weight}", protocol.media_type())
        })
        .collect();
    parts.push("*/*;q=0.1".to_owned());
    parts.join(",")
}

/// Everything that it takes to turn an answer into a message for the store.
struct Preparation {
    job: Arc<Job>,
    target: Labels,
    previous: Arc<Seen>,
    described: Option<(u64, i64)>,
    timeout: Duration,
    at_ms: i64,
    begun: Instant,
    /// As in [`Extra`].
    body_bytes: i64,
}

impl Preparation {
    fn run(mut self, answer: Result<Answer, NoAnswer>) -> Prepared {
        let exposition = answer.and_then(|answer| self.read(&answer));
        match exposition {
            Ok(exposition) => self.successful(exposition),
            Err(failure) => {
                if failure.is_too_large {
                    self.body_bytes = -1;
                }
                self.failed(failure.message, Counts::default())
            }
        }
    }

    fn read(&mut self, answer: &Answer) -> Result<Exposition, NoAnswer> {
        let body = answer.decompressed(self.job.limits.body)?;
        self.body_bytes = i64::try_from(body.len()).unwrap_or(i64::MAX);
        let format = Format::from_content_type(&answer.content_type)
            .or(self.job.fallback.map(|protocol| protocol.format()))
            .ok_or_else(|| {
                format!(
                    "the content type {:?} is none of a format that is read here; if it is one \
                     all the same, name it in fallback_scrape_protocol",
                    answer.content_type
                )
            })?;
        let reading = Reading {
            at_ms: self.at_ms,
            max_samples: MAX_SAMPLES,
            keeps_classic: self.job.keeps_classic,
        };
        Ok(read(format, &body, reading).map_err(|err| err.to_string())?)
    }

    fn successful(self, mut exposition: Exposition) -> Prepared {
        let metadata = std::mem::take(&mut exposition.metadata);
        let batch = batch::successful(
            &self.job,
            &self.target,
            exposition,
            &self.previous,
            self.at_ms,
        );
        let batch = match batch {
            Ok(batch) => batch,
            Err(refused) => return self.failed(refused.message, refused.counts),
        };
        if batch.duplicates > 0 {
            let (job, count) = (&self.job.name, batch.duplicates);
            tracing::debug!(
                job,
                count,
                "samples of series that the same scrape has already"
            );
        }
        let (metadata, described) = self.to_describe(metadata);
        let (samples, counts) = (batch.samples, batch.counts);
        self.finished(samples, &metadata, described, batch.seen, counts, None)
    }

    fn failed(&self, failure: String, counts: Counts) -> Prepared {
        let samples = batch::failed(&self.previous, self.at_ms);
        self.finished(samples, &[], None, Seen::default(), counts, Some(failure))
    }

    /// What is to be written of the metadata, and its hash if anything is.
    fn to_describe(&self, metadata: Vec<MetricMetadata>) -> (Vec<MetricMetadata>, Option<u64>) {
        let mut hasher = DefaultHasher::new();
        metadata.hash(&mut hasher);
        let hash = hasher.finish();
        let is_known = self.described.is_some_and(|(known, at_ms)| {
            known == hash && self.at_ms.saturating_sub(at_ms) < DESCRIBE_AGAIN_MS
        });
        match is_known {
            true => (Vec::new(), None),
            false => (metadata, Some(hash)),
        }
    }

    fn finished(
        &self,
        mut samples: Vec<SeriesSample>,
        metadata: &[MetricMetadata],
        described: Option<u64>,
        seen: Seen,
        counts: Counts,
        failure: Option<String>,
    ) -> Prepared {
        let took = self.begun.elapsed();
        let up = failure.is_none();
        let extra = self.job.extra_metrics.then_some(Extra {
            timeout: self.timeout,
            sample_limit: self.job.limits.samples,
            body_bytes: self.body_bytes,
        });
        let report = batch::report(&self.target, up, took, counts, extra, self.at_ms);
        samples.extend(report);
        Prepared {
            body: wire::remote_write::encode(&samples, metadata),
            samples: samples.len(),
            seen,
            described,
            failure,
            took,
        }
    }
}
