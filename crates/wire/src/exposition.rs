//! What targets show when they are scraped: Prometheus' text format 0.0.4 (and 1.0.0, which adds
//! quoted names), OpenMetrics 1.0 text, and Prometheus' protobuf, which alone has native
//! histograms.
//!
//! A body is read whole or refused with line and column: half of a scrape is no scrape. Samples
//! keep the order of the body. Names outside of the classic alphabet stand in quotes, inside of
//! the braces: `{"my.metric", "my.label"="value"}`.

mod bound;
mod cursor;
mod open_metrics;
mod protobuf;
mod text;

use std::collections::HashMap;

use model::metric::Temporality;
use model::{Exemplar, MetricMetadata, MetricType, SampleValue, SeriesSample};

use self::cursor::{Cursor, Series};

/// A format that bodies can be read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus' text format.
    Text,
    /// OpenMetrics' text format: strict, with exemplars, units and start times.
    OpenMetrics,
    /// Prometheus' protobuf, `io.prometheus.client.MetricFamily` behind its length, again and
    /// again.
    Protobuf,
}

impl Format {
    /// The format that a `Content-Type` names; `None` for any other type.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("text/plain") {
            Some(Self::Text)
        } else if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            Some(Self::OpenMetrics)
        } else if media_type.eq_ignore_ascii_case("application/vnd.google.protobuf") {
            Some(Self::Protobuf)
        } else {
            None
        }
    }
}

/// What is read of a body, and how much.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// When the body was scraped, Unix ms: the time of samples that bring none.
    pub at_ms: i64,
    /// The most samples that it may have.
    pub max_samples: usize,
    /// Whether a histogram that is native has its classic buckets, too, where both are shown.
    pub keeps_classic: bool,
}

/// Everything that a body shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    /// The samples, in the body's order.
    pub samples: Vec<ExposedSample>,
    /// What it says about families, each once, in the order of their first mention. A counter's
    /// family in OpenMetrics is listed under the name of its series, with `_total`.
    pub metadata: Vec<MetricMetadata>,
}

/// One sample of a body.
#[derive(Debug, Clone, PartialEq)]
pub struct ExposedSample {
    /// The sample; without a time of its own it has that of the scrape.
    pub sample: SeriesSample,
    /// Whether the body gives its time.
    pub timed: bool,
    /// Labels that the body gives an empty value. They are absent from the sample, but said to
    /// be: nothing should be put in their place.
    pub emptied: Vec<String>,
}

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpositionError {
    /// A text does not follow its format.
    #[error("line {line}, column {column}: {message}")]
    Text {
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A message is malformed, or says what no metric can.
    #[error("metric family {number}: {message}")]
    Protobuf {
        /// Which of the body's families, from 1.
        number: usize,
        /// What is wrong with it.
        message: String,
    },
}

/// Reads a body.
///
/// A value that is not a number gets Prometheus' own NaN, never the stale marker. OpenMetrics'
/// `_created` lines are no samples: they are the start times of the counters, histograms and
/// summaries that they belong to. Bounds of buckets and quantiles read the same in every format:
/// `le="1.0"`.
///
/// # Errors
///
/// The first place that does not follow the format; text that is not UTF-8; too many samples.
pub fn read(format: Format, body: &[u8], reading: Reading) -> Result<Exposition, ExpositionError> {
    let mut builder = Builder {
        reading,
        exposition: Exposition::default(),
        families: HashMap::new(),
    };
    match format {
        Format::Text => text::read(Cursor::new(text_of(body)?), &mut builder)?,
        Format::OpenMetrics => open_metrics::read(Cursor::new(text_of(body)?), &mut builder)?,
        Format::Protobuf => protobuf::read(body, &mut builder)?,
    }
    Ok(builder.exposition)
}

fn text_of(body: &[u8]) -> Result<&str, ExpositionError> {
    std::str::from_utf8(body).map_err(|err| {
        let end = err.valid_up_to();
        let good = std::str::from_utf8(&body[..end]).unwrap_or_default();
        cursor::error_at(good, end, "the text is not UTF-8")
    })
}

/// The most labels of one series: looking for one that comes twice takes time by their square.
const MAX_LABELS: usize = 512;

/// Prometheus' NaN for a value that is none: unlike the stale marker, and the same every time.
const NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The number, with every NaN the same.
fn ordinary(number: f64) -> f64 {
    match number.is_nan() {
        true => f64::from_bits(NAN_BITS),
        false => number,
    }
}

/// What all formats put together.
struct Builder {
    reading: Reading,
    exposition: Exposition,
    /// Where each family's metadata is.
    families: HashMap<String, usize>,
}

impl Builder {
    /// The metadata of a family, begun at its first mention.
    fn family(&mut self, name: &str) -> &mut MetricMetadata {
        let metadata = &mut self.exposition.metadata;
        let index = match self.families.get(name) {
            Some(index) => *index,
            None => {
                metadata.push(MetricMetadata {
                    family: name.to_owned(),
                    kind: MetricType::Unknown,
                    unit: String::new(),
                    help: String::new(),
                });
                self.families.insert(name.to_owned(), metadata.len() - 1);
                metadata.len() - 1
            }
        };
        &mut metadata[index]
    }

    /// Adds a sample of a series of this type; `false` when there are too many.
    fn sample(
        &mut self,
        kind: MetricType,
        series: Series,
        value: SampleValue,
        timestamp_ms: Option<i64>,
        exemplars: Vec<Exemplar>,
    ) -> bool {
        if self.exposition.samples.len() >= self.reading.max_samples {
            return false;
        }
        self.exposition.samples.push(ExposedSample {
            sample: SeriesSample {
                labels: bound::normalized(series.labels, kind),
                timestamp_ms: timestamp_ms.unwrap_or(self.reading.at_ms),
                start_ms: None,
                temporality: Temporality::Cumulative,
                value,
                exemplars,
            },
            timed: timestamp_ms.is_some(),
            emptied: series.emptied,
        });
        true
    }

    fn too_many(&self) -> String {
        format!("more than {} samples", self.reading.max_samples)
    }
}
