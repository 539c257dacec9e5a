//! Results of LogQL, and the JSON form in which Loki answers.
//!
//! [`QueryResponse`] serialises to the whole body of `query` and `query_range`:
//!
//! ```text
//! {"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],
//!   "result":[{"stream":{…},"values":[["<ns>","line",{"structuredMetadata":{…},"parsed":{…}}]]}],
//!   "stats":{"summary":{…}}}}
//! ```
//!
//! Grafana reads it as a stream, so the order of keys matters: `resultType` and `encodingFlags`
//! stand before `result`. Without `categorize-labels` a value has two elements and the stream
//! carries every label; with it a value has three and the stream only the indexed labels. The
//! other results are `matrix` (`{"metric":{…},"values":[[s,"1"],…]}`), `vector`
//! (`{"metric":{…},"value":[s,"1"]}`) and `scalar` (`[s,"1"]`), times in seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Labels;
use model::time::{NANOS_PER_MILLI, NANOS_PER_SECOND};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// The result of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Lines in the order asked for.
    Lines(Vec<Line>),
    /// Label sets with values over time, sorted by labels.
    Matrix(Vec<MatrixSeries>),
    /// Label sets with one value each; sorted by labels, or by value after
    /// `topk`, `bottomk`, `sort` and their kin.
    Vector(Vec<VectorSample>),
    /// A number.
    Scalar {
        /// When, Unix ns.
        timestamp: i64,
        /// The number.
        value: f64,
    },
}

/// One line with its labels by origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, Unix ns.
    pub timestamp: i64,
    /// The record's place in the ingest log, in the form of its column; it tells apart what else
    /// is equal.
    pub seq: i64,
    /// The text.
    pub line: String,
    /// The indexed labels: lines that share them are one stream.
    pub stream: Labels,
    /// What the record carries beside its line, sorted.
    pub structured_metadata: Vec<(String, String)>,
    /// What the stages found in the line or made, sorted; values may be empty.
    pub parsed: Vec<(String, String)>,
}

impl Line {
    /// About how many bytes it takes in memory.
    pub(super) fn size(&self) -> usize {
        let pairs = self.structured_metadata.iter().chain(&self.parsed);
        let pairs: usize = pairs
            .map(|(name, value)| name.len() + value.len() + 2 * size_of::<String>())
            .sum();
        let stream = self.stream.iter();
        let stream: usize = stream.map(|(name, value)| name.len() + value.len()).sum();
        size_of::<Self>() + self.line.len() + pairs + stream
    }
}

/// One label set's values over time.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSeries {
    /// The label set.
    pub labels: Labels,
    /// Values by time (Unix ns), ascending; steps without a value are left out.
    pub samples: Vec<(i64, f64)>,
}

/// One label set's value.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    /// The label set.
    pub labels: Labels,
    /// When, Unix ns.
    pub timestamp: i64,
    /// The value.
    pub value: f64,
}

/// What a query read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lines that came out of the table.
    pub lines: u64,
    /// Their bytes, as far as the query looked at lines.
    pub bytes: u64,
}

/// The body of an answer to `query` or `query_range`.
#[derive(Debug)]
pub struct QueryResponse<'a> {
    /// The result.
    pub answer: &'a Answer,
    /// Whether the request's `X-Loki-Response-Encoding-Flags` holds `categorize-labels`.
    pub categorize_labels: bool,
    /// What the query read.
    pub stats: Stats,
    /// How long it took.
    pub elapsed: Duration,
}

impl Serialize for QueryResponse<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(Some(2))?;
        body.serialize_entry("status", "success")?;
        body.serialize_entry("data", &Data(self))?;
        body.end()
    }
}

struct Data<'a>(&'a QueryResponse<'a>);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let response = self.0;
        let mut data = serializer.serialize_map(None)?;
        match response.answer {
            Answer::Lines(lines) => {
                data.serialize_entry("resultType", "streams")?;
                if response.categorize_labels {
                    data.serialize_entry("encodingFlags", &["categorize-labels"])?;
                }
                data.serialize_entry("result", &streams(lines, response.categorize_labels))?;
            }
            Answer::Matrix(series) => {
                data.serialize_entry("resultType", "matrix")?;
                let result: Vec<MatrixForm> = series.iter().map(MatrixForm::from).collect();
                data.serialize_entry("result", &result)?;
            }
            Answer::Vector(samples) => {
                data.serialize_entry("resultType", "vector")?;
                let result: Vec<VectorForm> = samples
                    .iter()
                    .map(|sample| VectorForm {
                        metric: LabelsForm(&sample.labels),
                        value: SampleForm(sample.timestamp, sample.value),
                    })
                    .collect();
                data.serialize_entry("result", &result)?;
            }
            Answer::Scalar { timestamp, value } => {
                data.serialize_entry("resultType", "scalar")?;
                data.serialize_entry("result", &SampleForm(*timestamp, *value))?;
            }
        }
        data.serialize_entry("stats", &StatsForm::new(response.stats, response.elapsed))?;
        data.end()
    }
}

/// One message of a live tail.
///
/// ```text
/// {"streams":[{"stream":{…},"values":[["<ns>","line"]]}],"dropped_entries":null}
/// ```
///
/// With `categorize-labels` it begins with `encodingFlags`, and values are as in
/// [`QueryResponse`].
#[derive(Debug)]
pub struct TailFrame<'a> {
    /// Lines, in the order of their time.
    pub lines: &'a [Line],
    /// Whether the client asked for labels by origin.
    pub categorize_labels: bool,
    /// How many records the client came too late for, and since when (Unix ns).
    pub dropped: Option<(u64, i64)>,
}

impl Serialize for TailFrame<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut frame = serializer.serialize_map(None)?;
        if self.categorize_labels {
            frame.serialize_entry("encodingFlags", &["categorize-labels"])?;
        }
        frame.serialize_entry("streams", &streams(self.lines, self.categorize_labels))?;
        let dropped = self.dropped.map(|(records, since)| {
            [DroppedForm {
                labels: BTreeMap::from([("dropped_records", records.to_string())]),
                timestamp: since.to_string(),
            }]
        });
        frame.serialize_entry("dropped_entries", &dropped)?;
        frame.end()
    }
}

#[derive(Serialize)]
struct DroppedForm {
    labels: BTreeMap<&'static str, String>,
    timestamp: String,
}

#[derive(Serialize)]
struct StreamForm<'a> {
    stream: BTreeMap<&'a str, &'a str>,
    values: Vec<LineForm<'a>>,
}

/// Lines by stream; the streams sorted by labels, the lines of each in their order.
fn streams(lines: &[Line], categorize: bool) -> Vec<StreamForm<'_>> {
    let mut streams: BTreeMap<BTreeMap<&str, &str>, Vec<LineForm<'_>>> = BTreeMap::new();
    for line in lines {
        let mut labels: BTreeMap<&str, &str> = line.stream.iter().collect();
        if !categorize {
            let others = line.structured_metadata.iter().chain(&line.parsed);
            labels.extend(others.map(|(name, value)| (name.as_str(), value.as_str())));
        }
        streams
            .entry(labels)
            .or_default()
            .push(LineForm { line, categorize });
    }
    streams
        .into_iter()
        .map(|(stream, values)| StreamForm { stream, values })
        .collect()
}

struct LineForm<'a> {
    line: &'a Line,
    categorize: bool,
}

impl Serialize for LineForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = serializer.serialize_seq(None)?;
        value.serialize_element(&self.line.timestamp.to_string())?;
        value.serialize_element(&self.line.line)?;
        if self.categorize {
            value.serialize_element(&CategoriesForm {
                structured_metadata: PairsForm(&self.line.structured_metadata),
                parsed: PairsForm(&self.line.parsed),
            })?;
        }
        value.end()
    }
}

#[derive(Serialize)]
struct CategoriesForm<'a> {
    #[serde(
        rename = "structuredMetadata",
        skip_serializing_if = "PairsForm::is_empty"
    )]
    structured_metadata: PairsForm<'a>,
    #[serde(skip_serializing_if = "PairsForm::is_empty")]
    parsed: PairsForm<'a>,
}

#[derive(Serialize)]
struct MatrixForm<'a> {
    metric: LabelsForm<'a>,
    values: Vec<SampleForm>,
}

impl<'a> From<&'a MatrixSeries> for MatrixForm<'a> {
    fn from(series: &'a MatrixSeries) -> Self {
        Self {
            metric: LabelsForm(&series.labels),
            values: series
                .samples
                .iter()
                .map(|(timestamp, value)| SampleForm(*timestamp, *value))
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct VectorForm<'a> {
    metric: LabelsForm<'a>,
    value: SampleForm,
}

/// Labels as an object.
struct LabelsForm<'a>(&'a Labels);

impl Serialize for LabelsForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

/// Pairs as an object.
struct PairsForm<'a>(&'a [(String, String)]);

impl PairsForm<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for PairsForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// `[seconds, "value"]`
struct SampleForm(i64, f64);

impl Serialize for SampleForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sample = serializer.serialize_seq(Some(2))?;
        if self.0 % NANOS_PER_SECOND == 0 {
            sample.serialize_element(&(self.0 / NANOS_PER_SECOND))?;
        } else {
            let millis = self.0.div_euclid(NANOS_PER_MILLI);
            sample.serialize_element(&(millis as f64 / 1_000.0))?;
        }
        sample.serialize_element(&number_text(self.1))?;
        sample.end()
    }
}

/// A number as Go prints it: `1`, `0.5`, `+Inf`, `NaN`.
fn number_text(value: f64) -> String {
    if value == f64::INFINITY {
        return "+Inf".to_owned();
    }
    if value == f64::NEG_INFINITY {
        return "-Inf".to_owned();
    }
    value.to_string()
}

#[derive(Serialize)]
struct StatsForm {
    summary: SummaryForm,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SummaryForm {
    bytes_processed_per_second: u64,
    lines_processed_per_second: u64,
    total_bytes_processed: u64,
    total_lines_processed: u64,
    exec_time: f64,
}

impl StatsForm {
    fn new(stats: Stats, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        let per_second = |count: u64| match seconds > 0.0 {
            true => (count as f64 / seconds) as u64,
            false => 0,
        };
        Self {
            summary: SummaryForm {
                bytes_processed_per_second: per_second(stats.bytes),
                lines_processed_per_second: per_second(stats.lines),
                total_bytes_processed: stats.bytes,
                total_lines_processed: stats.lines,
                exec_time: seconds,
            },
        }
    }
}
