//! OpenMetrics 1.0: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::collections::HashMap;

use model::labels::METRIC_NAME;
use model::{Exemplar, Labels, MetricType, SampleValue};

use super::cursor::{Cursor, unescape_help};
use super::{Builder, ExpositionError};

/// A type of OpenMetrics, which has more of them than Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    StateSet,
    Info,
    Summary,
    Unknown,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "gaugehistogram" => Self::GaugeHistogram,
            "stateset" => Self::StateSet,
            "info" => Self::Info,
            "summary" => Self::Summary,
            "unknown" => Self::Unknown,
            _ => return None,
        })
    }

    fn model(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Histogram => MetricType::Histogram,
            Self::GaugeHistogram => MetricType::GaugeHistogram,
            Self::StateSet => MetricType::StateSet,
            Self::Info => MetricType::Info,
            Self::Summary => MetricType::Summary,
            Self::Unknown => MetricType::Unknown,
        }
    }

    /// Whether `_created` says since when its series count.
    fn has_start(self) -> bool {
        matches!(self, Self::Counter | Self::Histogram | Self::Summary)
    }

    /// What the series' names of a family of this type end with.
    fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["_total", "_created"],
            Self::Histogram => &["_bucket", "_count", "_sum", "_created"],
            Self::GaugeHistogram => &["_bucket", "_gcount", "_gsum"],
            Self::Summary => &["", "_count", "_sum", "_created"],
            Self::Info => &["_info"],
            Self::Gauge | Self::StateSet | Self::Unknown => &[""],
        }
    }
}

/// The family that lines belong to at the moment.
struct Family {
    name: String,
    kind: Kind,
    /// Its first sample.
    begin: usize,
    /// Since when its series count, Unix ms, by their labels without name and bucket.
    starts: HashMap<Labels, i64>,
}

struct Reader<'b> {
    builder: &'b mut Builder,
    family: Option<Family>,
    /// Types, as far as they were given.
    kinds: HashMap<String, Kind>,
}

pub(super) fn read(mut cursor: Cursor<'_>, builder: &mut Builder) -> Result<(), ExpositionError> {
    let mut reader = Reader {
        builder,
        family: None,
        kinds: HashMap::new(),
    };
    while !cursor.skip("# EOF") {
        if cursor.at_end() {
            return Err(cursor.error("the text ends without \"# EOF\"; it may be cut short"));
        }
        if cursor.skip("# ") {
            reader.descriptor(&mut cursor)?;
        } else if cursor.peek() == b'#' {
            return Err(cursor.error("expected \"# HELP\", \"# TYPE\", \"# UNIT\" or \"# EOF\""));
        } else {
            reader.sample(&mut cursor)?;
        }
    }
    cursor.skip("\n");
    if !cursor.at_end() {
        return Err(cursor.error("text after \"# EOF\""));
    }
    reader.end_family();
    reader.name_families();
    Ok(())
}

impl Reader<'_> {
    /// `# TYPE name type`, `# HELP name text`, `# UNIT name unit`.
    fn descriptor(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ExpositionError> {
        let begin = *cursor;
        let keyword = cursor.word();
        if !matches!(keyword, "HELP" | "TYPE" | "UNIT") {
            return Err(begin.error(format!(
                "expected HELP, TYPE, UNIT or EOF, found {keyword:?}"
            )));
        }
        cursor.expect(" ", "one space")?;
        let name = cursor.family_name()?;
        if !cursor.at_line_end() {
            cursor.expect(" ", "one space")?;
        }
        self.enter_family(&name);
        let text_begin = *cursor;
        let text = cursor.line();
        match keyword {
            "HELP" => self.builder.family(&name).help = unescape_help(text, true),
            "TYPE" => {
                let Some(kind) = Kind::named(text) else {
                    return Err(text_begin.error(format!(
                        "expected counter, gauge, histogram, gaugehistogram, stateset, info, \
                         summary or unknown, found {text:?}"
                    )));
                };
                self.builder.family(&name).kind = kind.model();
                self.kinds.insert(name, kind);
                if let Some(family) = &mut self.family {
                    family.kind = kind;
                }
            }
            _ => {
                let named_after = name
                    .strip_suffix(text)
                    .is_some_and(|name| name.ends_with('_'));
                if !text.is_empty() && !named_after {
                    return Err(text_begin.error(format!(
                        "the name {name:?} does not end with its unit {text:?}"
                    )));
                }
                text.clone_into(&mut self.builder.family(&name).unit);
            }
        }
        Ok(())
    }

    fn sample(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ExpositionError> {
        let begin = *cursor;
        let series = cursor.series()?;
        cursor.expect(" ", "one space and the value")?;
        let value_begin = *cursor;
        let value = cursor.value()?;
        let mut time = None;
        let mut exemplars = Vec::new();
        if cursor.skip(" ") {
            let has_time = cursor.peek() != b'#';
            if has_time {
                time = Some(cursor.seconds()?);
            }
            if !has_time || cursor.skip(" ") {
                cursor.expect("# ", "\"# \" and an exemplar")?;
                exemplars.push(exemplar(
                    cursor,
                    time.unwrap_or(self.builder.reading.at_ms),
                )?);
            }
        }
        cursor.expect("\n", "the end of the line")?;
        let created = self.place(&series.labels);
        if created {
            let mut again = value_begin;
            let start = again.seconds()?;
            let key = start_key(&series.labels);
            if let Some(family) = &mut self.family {
                family.starts.insert(key, start);
            }
            return Ok(());
        }
        let kind = self
            .family
            .as_ref()
            .map_or(Kind::Unknown, |family| family.kind);
        let value = SampleValue::Float(value);
        let builder = &mut self.builder;
        match builder.sample(kind.model(), series, value, time, exemplars) {
            true => Ok(()),
            false => Err(begin.error(self.builder.too_many())),
        }
    }

    /// Makes the series' family the current one; whether the line is its `_created`.
    fn place(&mut self, labels: &Labels) -> bool {
        let name = labels.metric_name().unwrap_or_default();
        if let Some(family) = &self.family {
            let suffix = name.strip_prefix(family.name.as_str());
            if let Some(suffix) = suffix.filter(|suffix| family.kind.suffixes().contains(suffix)) {
                return suffix == "_created" && family.kind.has_start();
            }
        }
        self.enter_family(name);
        false
    }

    /// Begins a family, unless it is the current one.
    fn enter_family(&mut self, name: &str) {
        if self
            .family
            .as_ref()
            .is_some_and(|family| family.name == name)
        {
            return;
        }
        self.end_family();
        self.family = Some(Family {
            name: name.to_owned(),
            kind: self.kinds.get(name).copied().unwrap_or(Kind::Unknown),
            begin: self.builder.exposition.samples.len(),
            starts: HashMap::new(),
        });
    }

    /// Gives the current family's samples their start times.
    fn end_family(&mut self) {
        let Some(family) = self.family.take() else {
            return;
        };
        if family.starts.is_empty() {
            return;
        }
        for exposed in &mut self.builder.exposition.samples[family.begin..] {
            let key = start_key(&exposed.sample.labels);
            exposed.sample.start_ms = family.starts.get(&key).copied();
        }
    }

    /// Lists families under the names of their series, where there is only one such name.
    fn name_families(&mut self) {
        for family in &mut self.builder.exposition.metadata {
            let suffix = match family.kind {
                MetricType::Counter => "_total",
                MetricType::Info => "_info",
                _ => continue,
            };
            family.family.push_str(suffix);
        }
    }
}

/// What all series that count since one moment have in common. A summary's quantiles do not
/// count, and keep a label that no `_created` has.
fn start_key(labels: &Labels) -> Labels {
    labels.filter(|name| name != METRIC_NAME && name != "le")
}

/// `{labels} value time`; without a time of its own it has that of its sample.
fn exemplar(cursor: &mut Cursor<'_>, sample_ms: i64) -> Result<Exemplar, ExpositionError> {
    let labels = cursor.label_set()?;
    cursor.expect(" ", "one space and the exemplar's value")?;
    let value = cursor.value()?;
    let timestamp_ms = match cursor.skip(" ") {
        true => cursor.seconds()?,
        false => sample_ms,
    };
    Ok(Exemplar {
        labels,
        value,
        timestamp_ms,
    })
}
