//! What targets show when they are scraped: Prometheus' text format 0.0.4 (and 1.0.0, which adds
//! quoted names) and OpenMetrics 1.0 text.
//!
//! A body is read whole or refused with line and column: half of a scrape is no scrape. Samples
//! keep the order of the body. Names outside of the classic alphabet stand in quotes, inside of
//! the braces: `{"my.metric", "my.label"="value"}`.

mod cursor;
mod open_metrics;
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
}

impl Format {
    /// The format that a `Content-Type` names; `None` for any other type.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("text/plain") {
            Some(Self::Text)
        } else if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            Some(Self::OpenMetrics)
        } else {
            None
        }
    }
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
#[error("line {line}, column {column}: {message}")]
pub struct ExpositionError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// Reads a body that was scraped at `at_ms` (Unix ms), at most `max_samples` of it.
///
/// A value that is not a number gets Prometheus' own NaN, never the stale marker. OpenMetrics'
/// `_created` lines are no samples: they are the start times of the counters, histograms and
/// summaries that they belong to.
///
/// # Errors
///
/// The first place that does not follow the format; text that is not UTF-8; too many samples.
pub fn read(
    format: Format,
    body: &[u8],
    at_ms: i64,
    max_samples: usize,
) -> Result<Exposition, ExpositionError> {
    let (good, bad_at) = match std::str::from_utf8(body) {
        Ok(text) => (text, None),
        Err(err) => {
            let end = err.valid_up_to();
            (
                std::str::from_utf8(&body[..end]).unwrap_or_default(),
                Some(end),
            )
        }
    };
    if let Some(at) = bad_at {
        return Err(cursor::error_at(good, at, "the text is not UTF-8"));
    }
    let mut builder = Builder {
        at_ms,
        max_samples,
        exposition: Exposition::default(),
        families: HashMap::new(),
    };
    match format {
        Format::Text => text::read(Cursor::new(good), &mut builder)?,
        Format::OpenMetrics => open_metrics::read(Cursor::new(good), &mut builder)?,
    }
    Ok(builder.exposition)
}

/// What both formats put together.
struct Builder {
    at_ms: i64,
    max_samples: usize,
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

    /// Adds a sample; `false` when there are too many.
    fn sample(
        &mut self,
        series: Series,
        value: f64,
        timestamp_ms: Option<i64>,
        exemplars: Vec<Exemplar>,
    ) -> bool {
        if self.exposition.samples.len() >= self.max_samples {
            return false;
        }
        self.exposition.samples.push(ExposedSample {
            sample: SeriesSample {
                labels: series.labels,
                timestamp_ms: timestamp_ms.unwrap_or(self.at_ms),
                start_ms: None,
                temporality: Temporality::Cumulative,
                value: SampleValue::Float(value),
                exemplars,
            },
            timed: timestamp_ms.is_some(),
            emptied: series.emptied,
        });
        true
    }

    fn too_many(&self) -> String {
        format!("more than {} samples", self.max_samples)
    }
}
