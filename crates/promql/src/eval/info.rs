//! `info(vector, {…})`: the labels of info metrics, such as `target_info`, put onto other series.
//!
//! A series and an info series belong together when they are equal in `instance` and `job`.

use std::collections::{BTreeMap, HashMap};

use model::labels::METRIC_NAME;
use model::{Labels, MatchOp, Matcher};

use super::column::{Cell, Column, unite};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::plan::Node;
use super::selector::{self, Take};
use crate::ast::{Call, ExprKind};
use crate::matching::CompiledMatchers;

/// The info metric that is used when none is named.
const TARGET_INFO: &str = "target_info";

/// The labels by which series find their info series.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Which info series a call reads.
pub(super) fn matchers(call: &Call) -> Vec<Matcher> {
    let mut matchers = written_matchers(call).to_vec();
    if !matchers.iter().any(|matcher| matcher.name == METRIC_NAME) {
        matchers.push(Matcher::new(METRIC_NAME, MatchOp::Equal, TARGET_INFO));
    }
    matchers
}

fn written_matchers(call: &Call) -> &[Matcher] {
    match call.args.get(1).map(|labels| &labels.kind) {
        Some(ExprKind::Selector(selector)) => &selector.matchers,
        _ => &[],
    }
}

/// What the call says of the labels it wants.
struct Wanted<'c> {
    /// Names of the labels to take over; all when there are none.
    names: Vec<&'c str>,
    /// Whether a series without info passes: no condition speaks against absent labels.
    optional: bool,
    /// Conditions on the name of info metrics, which are left as they are themselves.
    info_names: Option<CompiledMatchers>,
}

impl<'c> Wanted<'c> {
    fn of(call: &'c Call) -> Result<Self, EvalError> {
        let written = written_matchers(call);
        let (of_name, of_data): (Vec<&Matcher>, Vec<&Matcher>) = written
            .iter()
            .partition(|matcher| matcher.name == METRIC_NAME);
        let compile =
            |matchers: &[Matcher]| CompiledMatchers::new(matchers).map_err(EvalError::Source);
        let of_name: Vec<Matcher> = match call.args.len() {
            1 => vec![Matcher::new(METRIC_NAME, MatchOp::Equal, TARGET_INFO)],
            _ => of_name.into_iter().cloned().collect(),
        };
        let data: Vec<Matcher> = of_data.iter().map(|matcher| (*matcher).clone()).collect();
        Ok(Self {
            names: of_data
                .iter()
                .map(|matcher| matcher.name.as_str())
                .collect(),
            optional: compile(&data)?.matches(&Labels::empty()),
            info_names: match of_name.is_empty() {
                true => None,
                false => Some(compile(&of_name)?),
            },
        })
    }

    /// Whether the series is an info series itself.
    fn is_info(&self, labels: &Labels) -> bool {
        let name = labels.filter(|name| name == METRIC_NAME);
        self.info_names
            .as_ref()
            .is_some_and(|names| names.matches(&name))
    }

    /// The labels of a series with those of its info series; `None` when it does not pass.
    fn enriched(
        &self,
        base: &Labels,
        infos: &[&InfoSeries],
    ) -> Result<Option<Labels>, ConflictingLabel> {
        if infos.is_empty() {
            return Ok(self.optional.then(|| base.clone()));
        }
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        for info in infos {
            for (name, value) in info.labels.iter() {
                let wanted = self.names.is_empty() || self.names.contains(&name);
                if name == METRIC_NAME || !wanted {
                    continue;
                }
                if added.get(name).is_some_and(|other| *other != value) {
                    return Err(ConflictingLabel(name.to_owned()));
                }
                if base.get(name).is_none() {
                    added.insert(name, value);
                }
            }
        }
        Ok(Some(Labels::new(base.iter().chain(added))))
    }
}

/// Two info metrics say different things about a label.
struct ConflictingLabel(String);

/// An info series and when its sample was taken, in ms, for each step.
struct InfoSeries {
    labels: Labels,
    times_ms: Vec<Option<i64>>,
}

fn identity(labels: &Labels) -> Labels {
    labels.filter(|name| IDENTIFYING.contains(&name))
}

pub(super) fn evaluate(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
) -> Result<Vec<Column>, EvalError> {
    let (ExprKind::Call(call), [vector]) = (&node.expr.kind, node.children.as_slice()) else {
        let message = "info takes an instant vector";
        return Err(EvalError::execution(node.expr.span, message));
    };
    let wanted = Wanted::of(call)?;
    let columns = evaluation.vector(vector)?;
    let infos = info_series(evaluation, node)?;
    let mut by_identity: HashMap<Labels, Vec<&InfoSeries>> = HashMap::new();
    for info in &infos {
        let identity = identity(&info.labels);
        if !identity.is_empty() {
            by_identity.entry(identity).or_default().push(info);
        }
    }
    let mut results = Vec::with_capacity(columns.len());
    for column in columns {
        evaluation.check_cancelled()?;
        if wanted.is_info(&column.labels) {
            results.push(column);
            continue;
        }
        let candidates = by_identity.get(&identity(&column.labels));
        let candidates = candidates.map_or(&[][..], Vec::as_slice);
        results.extend(with_info(node, &wanted, column, candidates)?);
    }
    unite(results, node.expr.span)
}

/// The info series that were planned for the call.
fn info_series(evaluation: &Evaluation<'_>, node: &Node<'_>) -> Result<Vec<InfoSeries>, EvalError> {
    let (reading, series) = selector::reading(evaluation, node)?;
    evaluation.check_size(series.len(), node.steps.len())?;
    let mut infos = Vec::with_capacity(series.len());
    for one in series {
        if !one.histograms.values.is_empty() {
            return Err(EvalError::execution(
                node.expr.span,
                format!(
                    "this should be an info metric, with float samples: {}",
                    one.labels
                ),
            ));
        }
        let cells = selector::last_samples(one, reading, node.steps, Take::Time);
        let ms = |seconds: f64| (seconds * 1_000.0).round() as i64;
        infos.push(InfoSeries {
            labels: one.labels.clone(),
            times_ms: cells.iter().map(|cell| cell.float().map(ms)).collect(),
        });
    }
    Ok(infos)
}

/// The series under the labels that it has with its info at each step.
fn with_info(
    node: &Node<'_>,
    wanted: &Wanted<'_>,
    column: Column,
    candidates: &[&InfoSeries],
) -> Result<Vec<Column>, EvalError> {
    let span = node.expr.span;
    let steps = column.cells.len();
    let mut results: Vec<Column> = Vec::new();
    let mut index_of: HashMap<Labels, usize> = HashMap::new();
    for (step, cell) in column.cells.into_iter().enumerate() {
        if cell.is_empty() {
            continue;
        }
        let infos =
            newest(candidates, step).map_err(|message| EvalError::execution(span, message))?;
        let enriched =
            wanted
                .enriched(&column.labels, &infos)
                .map_err(|ConflictingLabel(name)| {
                    EvalError::execution(span, format!("conflicting label: {name}"))
                })?;
        let Some(labels) = enriched else {
            continue;
        };
        let index = *index_of.entry(labels.clone()).or_insert_with(|| {
            results.push(Column {
                labels,
                drop_name: column.drop_name,
                cells: vec![Cell::Empty; steps],
            });
            results.len() - 1
        });
        results[index].cells[step] = cell;
    }
    Ok(results)
}

/// Of each info metric the series with the newest sample; two of one age are an error.
fn newest<'i>(candidates: &[&'i InfoSeries], step: usize) -> Result<Vec<&'i InfoSeries>, String> {
    let mut newest: BTreeMap<&str, (&'i InfoSeries, i64)> = BTreeMap::new();
    for info in candidates {
        let Some(time) = info.times_ms[step] else {
            continue;
        };
        let name = info.labels.metric_name().unwrap_or_default();
        match newest.get(name) {
            Some((_, other)) if *other > time => {}
            Some((existing, other)) if *other == time => {
                return Err(format!(
                    "found duplicate series for info metric: existing {} @ {other}, new {} @ {time}",
                    existing.labels, info.labels
                ));
            }
            _ => {
                newest.insert(name, (info, time));
            }
        }
    }
    Ok(newest.into_values().map(|(info, _)| info).collect())
}
