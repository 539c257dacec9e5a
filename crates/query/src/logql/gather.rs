//! One range function while its lines arrive: which series each line belongs to, and what it adds.
//!
//! Only what the result looks at is read: a sum by few labels makes series of those labels alone,
//! from their columns. Where all the table has to do is count, it counts: rows come grouped into
//! buckets of time, however many there were.

use std::collections::{BTreeSet, HashMap};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::exec_datafusion_err;
use datafusion::logical_expr::Expr;
use model::{Labels, MatchOp};

use crate::logql::answer::Stats;
use crate::logql::ast::{
    Grouping, LabelFilter, LabelSource, RangeAggregation, RangeOp, Stage, StageKind,
};
use crate::logql::evaluate::{Limits, LogQlError, compile};
use crate::logql::labels::{EXTRACTED, LineLabels, Lines, Needs, Origin};
use crate::logql::pipeline::{ERROR, ERROR_DETAILS, Pipeline};
use crate::logql::pushdown::{self, Pushdown};
use crate::logql::template::LineTemplate;
use crate::logql::values::Series;
use crate::logql::windows::{Gathered, Summary, Windows};
use crate::plans::{HistogramPlan, LogPlan, SearchPlan};

/// The most buckets that the table is asked to count in.
const MAX_BUCKETS: i128 = 100_000;

/// One range function while its lines arrive.
pub(super) struct Gathering<'e> {
    range: &'e RangeAggregation,
    windows: Windows,
    limits: Limits,
    filter: Expr,
    pipeline: Pipeline,
    needs: Needs,
    needs_line: bool,
    /// The values by which the table counts, when it does.
    counted_by: Option<Vec<Expr>>,
    unwrapped: Option<&'e str>,
    /// The labels that distinguish series; `None`: all.
    key_labels: Option<&'e [String]>,
    series: HashMap<String, usize>,
    gathered: Vec<(Labels, Gathered)>,
    bytes: usize,
    /// What was read.
    pub(super) stats: Stats,
}

impl<'e> Gathering<'e> {
    pub(super) fn new(
        range: &'e RangeAggregation,
        summed_by: Option<&'e Grouping>,
        windows: Windows,
        limits: Limits,
    ) -> Result<Self, LogQlError> {
        let Pushdown { filter, stages } = pushdown::split(&range.log);
        let additive = matches!(
            range.op,
            RangeOp::Count | RangeOp::Rate | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Sum
        );
        // A sum of sums is the sum of all, so labels that the outer sum drops need not be read.
        let key_labels = match (&range.grouping, summed_by) {
            _ if range.op == RangeOp::Absent => Some(&[][..]),
            (Some(own), _) if !own.without => Some(own.labels.as_slice()),
            (None, Some(outer)) if additive => Some(outer.labels.as_slice()),
            _ => None,
        };
        let unwrapped = range.log.stages.iter().find_map(|stage| match &stage.kind {
            StageKind::Unwrap { label, .. } => Some(label.as_str()),
            _ => None,
        });
        let counted_by = match key_labels {
            Some(labels) if unwrapped.is_none() => counted_by(&stages, labels, &windows),
            _ => None,
        };
        let names = key_labels.and_then(|labels| referenced(&stages, labels));
        let mut pipeline = compile(&stages)?;
        if let Some(names) = &names {
            pipeline = pipeline.wanting(names.clone());
        }
        let counts_bytes = matches!(range.op, RangeOp::Bytes | RangeOp::BytesRate);
        Ok(Self {
            range,
            windows,
            limits,
            filter,
            pipeline,
            needs: names.map_or(Needs::All, Needs::Names),
            needs_line: counts_bytes || stages.iter().any(looks_at_line),
            counted_by,
            unwrapped,
            key_labels,
            series: HashMap::new(),
            gathered: Vec::new(),
            bytes: 0,
            stats: Stats::default(),
        })
    }

    /// What is asked of the table.
    pub(super) fn plan(&self) -> LogPlan {
        let range = self.windows.time_range();
        let Some(by) = &self.counted_by else {
            return LogPlan::Search(SearchPlan {
                filter: self.filter.clone(),
                range,
                order: None,
                limit: None,
                after: None,
                columns: self.needs.columns(self.needs_line),
            });
        };
        let histogram = HistogramPlan {
            filter: self.filter.clone(),
            range,
            origin: range.start,
            step: self.windows.bucket_width(),
            by: by.clone(),
        };
        match self.needs_line {
            true => LogPlan::Volume(histogram),
            false => LogPlan::Histogram(histogram),
        }
    }

    /// Adds a batch of what the plan gives.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), LogQlError> {
        match &self.counted_by {
            Some(by) => self.add_buckets(batch, by.len()),
            None => self.add_lines(batch),
        }
    }

    fn add_buckets(&mut self, batch: &RecordBatch, values: usize) -> Result<(), LogQlError> {
        let numbers = |name: &str| {
            batch
                .column_by_name(name)
                .and_then(|column| column.as_primitive_opt::<Int64Type>().cloned())
        };
        let (Some(buckets), Some(counts)) = (numbers("bucket"), numbers("count")) else {
            return Err(exec_datafusion_err!("a histogram without buckets and counts").into());
        };
        let sizes = numbers("bytes");
        let mut texts = Vec::with_capacity(values);
        for index in 0..values {
            let Some(column) = batch.column_by_name(&format!("by_{index}")) else {
                return Err(exec_datafusion_err!("a histogram without its value {index}").into());
            };
            let column = cast(column, &DataType::Utf8).map_err(|error| {
                LogQlError::Execution(datafusion::error::DataFusionError::from(error))
            })?;
            texts.push(column.as_string::<i32>().clone());
        }
        let origin = self.windows.time_range().start;
        let width = self.windows.bucket_width();
        let names = self.key_labels.unwrap_or_default();
        let mut key = String::new();
        for row in 0..batch.num_rows() {
            let mut labels = LineLabels::default();
            for (name, texts) in names.iter().zip(&texts) {
                if texts.is_valid(row) {
                    labels.add(name, texts.value(row), Origin::Structured);
                }
            }
            self.write_key(&mut labels, &mut key);
            let index = self.index_of(&key, &labels)?;
            let count = counts.value(row);
            let size = sizes.as_ref().map_or(0, |sizes| sizes.value(row));
            self.stats.lines += u64::try_from(count).unwrap_or(0);
            self.stats.bytes += u64::try_from(size).unwrap_or(0);
            let instant = origin.saturating_add(buckets.value(row).saturating_mul(width));
            let (_, gathered) = &mut self.gathered[index];
            gathered.add_lines(&self.windows, instant, count, size);
        }
        Ok(())
    }

    fn add_lines(&mut self, batch: &RecordBatch) -> Result<(), LogQlError> {
        let needs = self.needs.clone();
        let mut lines = Lines::new(batch, &needs)?;
        let mut key = String::new();
        for row in 0..lines.len() {
            let mut labels = lines.labels(row)?;
            let timestamp = lines.timestamp(row);
            let line = lines.line(row);
            self.stats.lines += 1;
            self.stats.bytes += line.len() as u64;
            let Some(passed) = self.pipeline.run(timestamp, line, &mut labels) else {
                continue;
            };
            if let Some(error) = labels.get(ERROR) {
                let details = labels.get(ERROR_DETAILS).unwrap_or_default();
                return Err(LogQlError::Invalid(format!(
                    "pipeline error: '{error}' for a line of {}: {details}; use a label filter to intentionally skip such lines: | __error__!=\"{error}\"",
                    self.range
                )));
            }
            self.write_key(&mut labels, &mut key);
            let index = self.index_of(&key, &labels)?;
            if let (_, Gathered::Samples(_)) = &self.gathered[index] {
                self.count_bytes(size_of::<(i64, f64)>())?;
            }
            let (_, gathered) = &mut self.gathered[index];
            gathered.add(&self.windows, timestamp, passed.line.len(), passed.value);
        }
        Ok(())
    }

    /// Leaves the labels that distinguish series, sorted, and writes them down.
    fn write_key(&self, labels: &mut LineLabels, key: &mut String) {
        let by = |grouping: &Grouping| !grouping.without;
        // The unwrapped label is the value, else every value would be a series of its own.
        if let Some(unwrapped) = self.unwrapped
            && !self.range.grouping.as_ref().is_some_and(by)
        {
            labels.take(unwrapped);
        }
        match (self.key_labels, &self.range.grouping) {
            (Some(names), _) => labels.0.retain(|label| names.contains(&label.name)),
            (None, Some(without)) => {
                labels
                    .0
                    .retain(|label| !without.labels.contains(&label.name));
            }
            (None, None) => {}
        }
        labels.0.retain(|label| !label.value.is_empty());
        labels.0.sort_by(|a, b| a.name.cmp(&b.name));
        key.clear();
        for label in &labels.0 {
            key.push_str(&label.name);
            key.push('\u{0}');
            key.push_str(&label.value);
            key.push('\u{0}');
        }
    }

    fn index_of(&mut self, key: &str, labels: &LineLabels) -> Result<usize, LogQlError> {
        if let Some(index) = self.series.get(key) {
            return Ok(*index);
        }
        let known = self.gathered.len();
        if known >= self.limits.max_series {
            return Err(LogQlError::LimitExceeded(format!(
                "maximum of series ({}) reached for a single query: {}; aggregate it with sum by (…) or select less",
                self.limits.max_series, self.range
            )));
        }
        let unwrapped = self.unwrapped.is_some();
        let gathered = Gathered::new(&self.windows, self.range.op, unwrapped);
        self.count_bytes(match &gathered {
            Gathered::Counts { lines, .. } => 2 * lines.len() * size_of::<i64>(),
            Gathered::Summaries(steps) => steps.len() * size_of::<Summary>(),
            Gathered::Samples(_) => 0,
        })?;
        self.count_bytes(2 * key.len())?;
        self.gathered.push((labels.to_labels(), gathered));
        self.series.insert(key.to_owned(), known);
        Ok(known)
    }

    fn count_bytes(&mut self, more: usize) -> Result<(), LogQlError> {
        self.bytes += more;
        if self.bytes > self.limits.max_bytes {
            return Err(LogQlError::LimitExceeded(format!(
                "{} needs more than {} bytes of memory; select less, take a larger step or a shorter range",
                self.range, self.limits.max_bytes
            )));
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<Series> {
        let (op, parameter) = (self.range.op, self.range.parameter);
        let series = self.gathered.into_iter().map(|(labels, gathered)| Series {
            labels,
            points: gathered.finish(op, parameter, &self.windows),
        });
        if op == RangeOp::Absent {
            return vec![absent(self.range, series.collect(), self.windows.count)];
        }
        series
            .filter(|one| one.points.iter().any(Option::is_some))
            .collect()
    }
}

/// `absent_over_time`: 1 where no line is, labelled by the selector's equalities.
fn absent(range: &RangeAggregation, counted: Vec<Series>, steps: usize) -> Series {
    let equalities = range
        .log
        .matchers
        .iter()
        .filter(|matcher| matcher.op == MatchOp::Equal);
    let points = (0..steps)
        .map(|step| {
            let present = counted.iter().any(|one| one.points[step].is_some());
            (!present).then_some(1.0)
        })
        .collect();
    Series {
        labels: Labels::new(equalities.map(|m| (m.name.as_str(), m.value.as_str()))),
        points,
    }
}

/// The values of the labels that distinguish series, when the table can count by them and no
/// stage that is left matters.
fn counted_by(stages: &[Stage], labels: &[String], windows: &Windows) -> Option<Vec<Expr>> {
    let harmless = |stage: &Stage| match &stage.kind {
        StageKind::Drop(choices) => choices.iter().all(|choice| !labels.contains(&choice.name)),
        _ => false,
    };
    let range = windows.time_range();
    let length = i128::from(range.end) - i128::from(range.start);
    if !stages.iter().all(harmless) || length / i128::from(windows.bucket_width()) > MAX_BUCKETS {
        return None;
    }
    labels
        .iter()
        .map(|label| pushdown::label_text(label))
        .collect()
}

/// Whether a stage reads the line.
fn looks_at_line(stage: &Stage) -> bool {
    let reads_line = |text: &str| LineTemplate::new(text).is_ok_and(|made| made.reads_line());
    match &stage.kind {
        StageKind::Line { .. } => true,
        StageKind::LabelFormat(formats) => formats.iter().any(|format| match &format.source {
            LabelSource::Rename(_) => false,
            LabelSource::Template(text) => reads_line(text),
        }),
        kind => kind.parses() || kind.changes_line(),
    }
}

/// The labels that stages and the result look at; `None` when that may be any.
pub(super) fn referenced(stages: &[Stage], key_labels: &[String]) -> Option<BTreeSet<String>> {
    let mut names: BTreeSet<String> = key_labels.iter().cloned().collect();
    let of_template = |text: &str, names: &mut BTreeSet<String>| {
        let template = LineTemplate::new(text).ok()?;
        names.extend(template.labels()?.into_iter().map(str::to_owned));
        Some(())
    };
    for stage in stages {
        match &stage.kind {
            StageKind::Label(filter) => filter_labels(filter, &mut names),
            StageKind::Unwrap { label, .. } => {
                names.insert(label.clone());
            }
            StageKind::LineFormat(text) => of_template(text, &mut names)?,
            StageKind::LabelFormat(formats) => {
                for format in formats {
                    match &format.source {
                        LabelSource::Rename(from) => drop(names.insert(from.clone())),
                        LabelSource::Template(text) => of_template(text, &mut names)?,
                    }
                }
            }
            // Dropping and keeping look only at labels that are there; the others read the line.
            StageKind::Drop(_)
            | StageKind::Keep(_)
            | StageKind::Line { .. }
            | StageKind::Json(_)
            | StageKind::Logfmt { .. }
            | StageKind::Regexp(_)
            | StageKind::Pattern(_)
            | StageKind::Unpack
            | StageKind::Decolorize => {}
        }
    }
    // What a field of the line is called depends on whether there is a stream label of its name.
    if stages.iter().any(|stage| stage.kind.parses()) {
        let originals: Vec<String> = names
            .iter()
            .filter_map(|name| name.strip_suffix(EXTRACTED))
            .map(str::to_owned)
            .collect();
        names.extend(originals);
    }
    Some(names)
}

fn filter_labels(filter: &LabelFilter, names: &mut BTreeSet<String>) {
    match filter {
        LabelFilter::Match(matcher) => {
            names.insert(matcher.name.clone());
        }
        LabelFilter::Compare { name, .. } | LabelFilter::Ip { name, .. } => {
            names.insert(name.clone());
        }
        LabelFilter::And(left, right) | LabelFilter::Or(left, right) => {
            filter_labels(left, names);
            filter_labels(right, names);
        }
    }
}
