//! One range function while its lines arrive: which series each line belongs to, and what it adds.
//!
//! Only what the result looks at is read: a sum by few labels makes series of those labels alone,
//! from their columns.

use std::collections::{BTreeSet, HashMap};

use datafusion::arrow::array::RecordBatch;
use datafusion::logical_expr::Expr;
use model::{Labels, MatchOp};

use crate::logql::answer::Stats;
use crate::logql::ast::{Grouping, LabelFilter, RangeAggregation, RangeOp, Stage, StageKind};
use crate::logql::evaluate::{Limits, LogQlError, compile};
use crate::logql::labels::{LineLabels, Lines, Needs};
use crate::logql::pipeline::{ERROR, Pipeline};
use crate::logql::pushdown::{self, Pushdown};
use crate::logql::values::Series;
use crate::logql::windows::{Gathered, Windows};

/// One range function while its lines arrive.
pub(super) struct Gathering<'e> {
    range: &'e RangeAggregation,
    windows: Windows,
    limits: Limits,
    /// What the table filters by.
    pub(super) filter: Expr,
    pipeline: Pipeline,
    needs: Needs,
    needs_line: bool,
    unwrapped: bool,
    /// The labels that distinguish series; `None`: all.
    key_labels: Option<&'e [String]>,
    series: HashMap<String, usize>,
    gathered: Vec<(Labels, Gathered)>,
    values: usize,
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
        let parses = stages
            .iter()
            .any(|stage| matches!(stage.kind, StageKind::Json | StageKind::Logfmt));
        let needs = match key_labels {
            // What a parsed field is called depends on all labels that were there before.
            Some(labels) if !parses => Needs::Names(referenced(&stages, labels)),
            _ => Needs::All,
        };
        let counts_bytes = matches!(range.op, RangeOp::Bytes | RangeOp::BytesRate);
        let looks_at_lines = parses
            || stages
                .iter()
                .any(|stage| matches!(stage.kind, StageKind::Line { .. }));
        Ok(Self {
            range,
            windows,
            limits,
            filter,
            pipeline: compile(&stages)?,
            needs,
            needs_line: counts_bytes || looks_at_lines,
            unwrapped: stages
                .iter()
                .any(|stage| matches!(stage.kind, StageKind::Unwrap { .. })),
            key_labels,
            series: HashMap::new(),
            gathered: Vec::new(),
            values: 0,
            stats: Stats::default(),
        })
    }

    pub(super) fn columns(&self) -> Vec<String> {
        self.needs.columns(self.needs_line)
    }

    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), LogQlError> {
        let needs = self.needs.clone();
        let mut lines = Lines::new(batch, &needs)?;
        let mut key = String::new();
        for row in 0..lines.len() {
            let mut labels = lines.labels(row)?;
            let line = lines.line(row);
            self.stats.lines += 1;
            self.stats.bytes += line.len() as u64;
            let Some(outcome) = self.pipeline.run(line, &mut labels) else {
                continue;
            };
            if let Some(error) = labels.get(ERROR) {
                return Err(LogQlError::Invalid(format!(
                    "pipeline error: {error} for a line of {}; use a label filter to skip such lines: | __error__=\"\"",
                    self.range
                )));
            }
            self.write_key(&mut labels, &mut key);
            let index = self.index_of(&key, &labels)?;
            if self.unwrapped {
                self.count_values(1)?;
            }
            let (_, gathered) = &mut self.gathered[index];
            gathered.add(
                &self.windows,
                lines.timestamp(row),
                line.len(),
                outcome.value,
            );
        }
        Ok(())
    }

    /// Leaves the labels that distinguish series, sorted, and writes them down.
    fn write_key(&self, labels: &mut LineLabels, key: &mut String) {
        match (self.key_labels, &self.range.grouping) {
            (Some(names), _) => labels.0.retain(|label| names.contains(&label.name)),
            (None, Some(without)) => {
                labels
                    .0
                    .retain(|label| !without.labels.contains(&label.name));
            }
            (None, None) => {}
        }
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
        if self.gathered.len() >= self.limits.max_series {
            return Err(LogQlError::LimitExceeded(format!(
                "{} gives more than {} series; aggregate it with sum by (…) or select less",
                self.range, self.limits.max_series
            )));
        }
        if !self.unwrapped {
            self.count_values(self.windows.count)?;
        }
        let pairs = labels.0.iter();
        let labels = Labels::new(pairs.map(|label| (label.name.as_str(), label.value.as_str())));
        let index = self.gathered.len();
        self.gathered
            .push((labels, Gathered::new(&self.windows, self.unwrapped)));
        self.series.insert(key.to_owned(), index);
        Ok(index)
    }

    fn count_values(&mut self, more: usize) -> Result<(), LogQlError> {
        self.values += more;
        if self.values > self.limits.max_values {
            return Err(LogQlError::LimitExceeded(format!(
                "{} needs more than {} values; select less, take a larger step or a shorter range",
                self.range, self.limits.max_values
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

/// The labels that stages and the result look at.
fn referenced(stages: &[Stage], key_labels: &[String]) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = key_labels.iter().cloned().collect();
    for stage in stages {
        match &stage.kind {
            StageKind::Label(filter) => filter_labels(filter, &mut names),
            StageKind::Unwrap { label, .. } => {
                names.insert(label.clone());
            }
            // Dropping and keeping look only at labels that are there.
            StageKind::Drop(_) | StageKind::Keep(_) => {}
            StageKind::Line { .. } | StageKind::Json | StageKind::Logfmt => {}
        }
    }
    names
}

fn filter_labels(filter: &LabelFilter, names: &mut BTreeSet<String>) {
    match filter {
        LabelFilter::Match(matcher) => {
            names.insert(matcher.name.clone());
        }
        LabelFilter::Compare { name, .. } => {
            names.insert(name.clone());
        }
        LabelFilter::And(left, right) | LabelFilter::Or(left, right) => {
            filter_labels(left, names);
            filter_labels(right, names);
        }
    }
}
