//! Values of a metric query at all its steps, and what operators make of them.

use std::collections::{BTreeMap, HashMap};

use model::Labels;
use regex::Regex;

use crate::logql::ast::{AggregateOp, BinaryOp, Grouping, Many, VectorMatching};
use crate::logql::pushdown::anchored;

/// One label set's values, one for each step; `None` where it has none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) labels: Labels,
    pub(super) points: Vec<Option<f64>>,
}

/// What an expression evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// The same number at every step.
    Scalar(f64),
    /// Label sets with values, each set once.
    Vector(Vec<Series>),
}

/// `sum by (…) (…)` and its kin.
pub(super) fn aggregate(
    op: AggregateOp,
    parameter: Option<u64>,
    grouping: Option<&Grouping>,
    series: Vec<Series>,
) -> Vec<Series> {
    if matches!(op, AggregateOp::Sort | AggregateOp::SortDesc) {
        return series;
    }
    let mut groups: BTreeMap<Labels, Vec<Series>> = BTreeMap::new();
    for one in series {
        let labels = group_labels(&one.labels, grouping);
        groups.entry(labels).or_default().push(one);
    }
    groups
        .into_iter()
        .flat_map(|(labels, members)| match op {
            AggregateOp::Topk | AggregateOp::ApproxTopk | AggregateOp::Bottomk => {
                let k = usize::try_from(parameter.unwrap_or(0)).unwrap_or(usize::MAX);
                extremes(members, k, op != AggregateOp::Bottomk)
            }
            _ => vec![combine(op, labels, &members)],
        })
        .collect()
}

fn group_labels(labels: &Labels, grouping: Option<&Grouping>) -> Labels {
    match grouping {
        None => Labels::empty(),
        Some(grouping) => labels
            .filter(|name| grouping.labels.iter().any(|label| label == name) != grouping.without),
    }
}

fn combine(op: AggregateOp, labels: Labels, members: &[Series]) -> Series {
    let steps = members.first().map_or(0, |series| series.points.len());
    let points = (0..steps)
        .map(|step| {
            let values: Vec<f64> = members.iter().filter_map(|one| one.points[step]).collect();
            if values.is_empty() {
                return None;
            }
            let count = values.len() as f64;
            Some(match op {
                AggregateOp::Avg => values.iter().sum::<f64>() / count,
                AggregateOp::Min => values.into_iter().fold(f64::INFINITY, f64::min),
                AggregateOp::Max => values.into_iter().fold(f64::NEG_INFINITY, f64::max),
                AggregateOp::Count => count,
                AggregateOp::Stdvar => variance(&values),
                AggregateOp::Stddev => variance(&values).sqrt(),
                _ => values.iter().sum(),
            })
        })
        .collect();
    Series { labels, points }
}

fn variance(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    spread / count
}

/// `label_replace`: where `pattern` matches the whole of the label `source`, `destination` becomes
/// `replacement` with its groups filled in.
///
/// # Errors
///
/// A pattern that the parser let through, or label sets that become equal, in a sentence.
pub(super) fn replace_label(
    mut series: Vec<Series>,
    destination: &str,
    replacement: &str,
    source: &str,
    pattern: &str,
) -> Result<Vec<Series>, String> {
    let regex = Regex::new(&anchored(pattern)).map_err(|error| error.to_string())?;
    for one in &mut series {
        let value = one.labels.get(source).unwrap_or_default();
        let Some(captures) = regex.captures(value) else {
            continue;
        };
        let mut replaced = String::new();
        captures.expand(replacement, &mut replaced);
        one.labels = one.labels.with(destination, &replaced);
    }
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    match series
        .windows(2)
        .find(|pair| pair[0].labels == pair[1].labels)
    {
        Some(pair) => Err(format!(
            "label_replace makes several series with the labels {}",
            pair[0].labels
        )),
        None => Ok(series),
    }
}

/// The members that are among the `k` largest or smallest, at the steps where they are.
fn extremes(mut members: Vec<Series>, k: usize, largest: bool) -> Vec<Series> {
    let steps = members.first().map_or(0, |series| series.points.len());
    for step in 0..steps {
        let mut ranked: Vec<(usize, f64)> = members
            .iter()
            .enumerate()
            .filter_map(|(index, one)| one.points[step].map(|value| (index, value)))
            .collect();
        ranked.sort_by(|a, b| {
            let ascending = a.1.total_cmp(&b.1);
            if largest {
                ascending.reverse()
            } else {
                ascending
            }
        });
        for (index, _) in ranked.into_iter().skip(k) {
            members[index].points[step] = None;
        }
    }
    members.retain(|one| one.points.iter().any(Option::is_some));
    members
}

/// An operator between two values at `steps` steps.
///
/// # Errors
///
/// A label set on one side that meets several on the other, in a sentence.
pub(super) fn binary(
    op: BinaryOp,
    bool_modifier: bool,
    matching: Option<&VectorMatching>,
    left: Value,
    right: Value,
    steps: usize,
) -> Result<Value, String> {
    Ok(match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            Value::Scalar(calculate(op, true, left, right, left).unwrap_or(f64::NAN))
        }
        (Value::Vector(series), Value::Scalar(right)) => {
            Value::Vector(each_point(series, |left| {
                calculate(op, bool_modifier, left, right, left)
            }))
        }
        (Value::Scalar(left), Value::Vector(series)) => {
            Value::Vector(each_point(series, |right| {
                calculate(op, bool_modifier, left, right, right)
            }))
        }
        (Value::Vector(left), Value::Vector(right)) if op.is_set_operator() => {
            Value::Vector(set_operation(op, matching, left, right, steps))
        }
        (Value::Vector(left), Value::Vector(right)) => {
            let many = matching.and_then(|matching| matching.many.as_ref());
            Value::Vector(match many {
                Some(many) => many_to_one(op, bool_modifier, matching, many, left, right, steps)?,
                None => one_to_one(op, bool_modifier, matching, left, &right, steps)?,
            })
        }
    })
}

/// `left op right`; a comparison gives 1 or 0 with `bool`, else `kept` or nothing.
fn calculate(op: BinaryOp, bool_modifier: bool, left: f64, right: f64, kept: f64) -> Option<f64> {
    if let Some(comparison) = op.comparison() {
        let holds = comparison.holds(left, right);
        return match bool_modifier {
            true => Some(f64::from(u8::from(holds))),
            false => holds.then_some(kept),
        };
    }
    Some(match op {
        BinaryOp::Add => left + right,
        BinaryOp::Subtract => left - right,
        BinaryOp::Multiply => left * right,
        BinaryOp::Divide => left / right,
        BinaryOp::Modulo => left % right,
        BinaryOp::Power => left.powf(right),
        _ => return None,
    })
}

fn each_point(series: Vec<Series>, change: impl Fn(f64) -> Option<f64>) -> Vec<Series> {
    let mut series = series;
    for one in &mut series {
        for point in &mut one.points {
            *point = point.and_then(&change);
        }
    }
    series.retain(|one| one.points.iter().any(Option::is_some));
    series
}

/// The labels by which two sides find each other, and those of the result.
fn signature(labels: &Labels, matching: Option<&VectorMatching>) -> Labels {
    match matching {
        None => labels.clone(),
        Some(VectorMatching {
            on, labels: names, ..
        }) => labels.filter(|name| names.iter().any(|label| label == name) == *on),
    }
}

fn one_to_one(
    op: BinaryOp,
    bool_modifier: bool,
    matching: Option<&VectorMatching>,
    left: Vec<Series>,
    right: &[Series],
    steps: usize,
) -> Result<Vec<Series>, String> {
    let mut partners: HashMap<Labels, Vec<Option<f64>>> = HashMap::new();
    for one in right {
        let key = signature(&one.labels, matching);
        merge_points(&mut partners, key, &one.points, steps, "right")?;
    }
    let mut seen: HashMap<Labels, Vec<Option<f64>>> = HashMap::new();
    let mut results: BTreeMap<Labels, Vec<Option<f64>>> = BTreeMap::new();
    for one in left {
        let key = signature(&one.labels, matching);
        merge_points(&mut seen, key.clone(), &one.points, steps, "left")?;
        let Some(partner) = partners.get(&key) else {
            continue;
        };
        let points = results.entry(key).or_insert_with(|| vec![None; steps]);
        for (step, point) in points.iter_mut().enumerate() {
            if let (Some(left), Some(right)) = (one.points[step], partner[step]) {
                *point = calculate(op, bool_modifier, left, right, left);
            }
        }
    }
    Ok(results
        .into_iter()
        .filter(|(_, points)| points.iter().any(Option::is_some))
        .map(|(labels, points)| Series { labels, points })
        .collect())
}

/// `group_left` and `group_right`: each series of the side of many meets the one that has its
/// signature, and keeps its own labels, with those of the other side that `include` names.
fn many_to_one(
    op: BinaryOp,
    bool_modifier: bool,
    matching: Option<&VectorMatching>,
    many: &Many,
    left: Vec<Series>,
    right: Vec<Series>,
    steps: usize,
) -> Result<Vec<Series>, String> {
    let (side_of_many, side_of_one, one_name) = match many.left {
        true => (left, right, "right"),
        false => (right, left, "left"),
    };
    let mut partners: HashMap<Labels, Vec<&Series>> = HashMap::new();
    for one in &side_of_one {
        let key = signature(&one.labels, matching);
        let known = partners.entry(key.clone()).or_default();
        let shares_step = |other: &&&Series| {
            let mut points = other.points.iter().zip(&one.points);
            points.any(|(a, b)| a.is_some() && b.is_some())
        };
        if known.iter().any(|other| shares_step(&other)) {
            return Err(several(one_name, &key));
        }
        known.push(one);
    }
    let mut results: BTreeMap<Labels, Vec<Option<f64>>> = BTreeMap::new();
    for series in &side_of_many {
        let key = signature(&series.labels, matching);
        for partner in partners.get(&key).into_iter().flatten() {
            let labels = many
                .include
                .iter()
                .fold(series.labels.clone(), |labels, name| {
                    labels.with(name, partner.labels.get(name).unwrap_or_default())
                });
            let points: Vec<Option<f64>> = (0..steps)
                .map(|step| {
                    let (many_value, one_value) = (series.points[step]?, partner.points[step]?);
                    let (left, right) = match many.left {
                        true => (many_value, one_value),
                        false => (one_value, many_value),
                    };
                    calculate(op, bool_modifier, left, right, left)
                })
                .collect();
            merge_points_into(&mut results, labels, &points, steps)?;
        }
    }
    Ok(results
        .into_iter()
        .filter(|(_, points)| points.iter().any(Option::is_some))
        .map(|(labels, points)| Series { labels, points })
        .collect())
}

fn merge_points_into(
    results: &mut BTreeMap<Labels, Vec<Option<f64>>>,
    labels: Labels,
    points: &[Option<f64>],
    steps: usize,
) -> Result<(), String> {
    let known = results
        .entry(labels.clone())
        .or_insert_with(|| vec![None; steps]);
    for (known, point) in known.iter_mut().zip(points) {
        if point.is_some() && known.is_some() {
            return Err(format!(
                "several results have the labels {labels}; name fewer labels in group_left or group_right"
            ));
        }
        *known = known.or(*point);
    }
    Ok(())
}

fn several(side: &str, labels: &Labels) -> String {
    format!(
        "several series on the {side} side have the labels {labels}; aggregate them with sum by (…) first"
    )
}

/// Joins the points of series that share a signature; at no step may two of them have a value.
fn merge_points(
    merged: &mut HashMap<Labels, Vec<Option<f64>>>,
    key: Labels,
    points: &[Option<f64>],
    steps: usize,
    side: &str,
) -> Result<(), String> {
    let known = merged
        .entry(key.clone())
        .or_insert_with(|| vec![None; steps]);
    for (known, point) in known.iter_mut().zip(points) {
        if point.is_none() {
            continue;
        }
        if known.is_some() {
            return Err(several(side, &key));
        }
        *known = *point;
    }
    Ok(())
}

fn set_operation(
    op: BinaryOp,
    matching: Option<&VectorMatching>,
    left: Vec<Series>,
    right: Vec<Series>,
    steps: usize,
) -> Vec<Series> {
    let present = |series: &[Series]| {
        let mut present: HashMap<Labels, Vec<bool>> = HashMap::new();
        for one in series {
            let steps = present
                .entry(signature(&one.labels, matching))
                .or_insert_with(|| vec![false; steps]);
            for (here, point) in steps.iter_mut().zip(&one.points) {
                *here |= point.is_some();
            }
        }
        present
    };
    let keep_where = |series: Vec<Series>, other: &HashMap<Labels, Vec<bool>>, wanted: bool| {
        let mut series = series;
        for one in &mut series {
            let found = other.get(&signature(&one.labels, matching));
            for (step, point) in one.points.iter_mut().enumerate() {
                if found.is_some_and(|found| found[step]) != wanted {
                    *point = None;
                }
            }
        }
        series.retain(|one| one.points.iter().any(Option::is_some));
        series
    };
    match op {
        BinaryOp::And => keep_where(left, &present(&right), true),
        BinaryOp::Unless => keep_where(left, &present(&right), false),
        _ => {
            let additional = keep_where(right, &present(&left), false);
            let mut all: BTreeMap<Labels, Vec<Option<f64>>> = left
                .into_iter()
                .map(|one| (one.labels, one.points))
                .collect();
            for one in additional {
                // The same label set may have its values on the left at some steps, here at others.
                let points = all.entry(one.labels).or_insert_with(|| vec![None; steps]);
                for (point, more) in points.iter_mut().zip(one.points) {
                    *point = point.or(more);
                }
            }
            all.into_iter()
                .map(|(labels, points)| Series { labels, points })
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(labels: &[(&str, &str)], points: &[Option<f64>]) -> Series {
        Series {
            labels: Labels::new(labels.iter().copied()),
            points: points.to_vec(),
        }
    }

    fn grouping(without: bool, labels: &[&str]) -> Grouping {
        Grouping {
            without,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        }
    }

    #[test]
    fn groups_are_combined_step_by_step() {
        let input = vec![
            series(&[("a", "1"), ("b", "x")], &[Some(1.0), None]),
            series(&[("a", "1"), ("b", "y")], &[Some(5.0), Some(2.0)]),
            series(&[("a", "2"), ("b", "x")], &[None, Some(7.0)]),
        ];
        let by_a = grouping(false, &["a"]);
        let without_b = grouping(true, &["b"]);
        let cases = [
            (AggregateOp::Sum, [Some(6.0), Some(2.0)]),
            (AggregateOp::Avg, [Some(3.0), Some(2.0)]),
            (AggregateOp::Min, [Some(1.0), Some(2.0)]),
            (AggregateOp::Max, [Some(5.0), Some(2.0)]),
            (AggregateOp::Count, [Some(2.0), Some(1.0)]),
            (AggregateOp::Stdvar, [Some(4.0), Some(0.0)]),
            (AggregateOp::Stddev, [Some(2.0), Some(0.0)]),
        ];
        for (op, expected) in cases {
            for grouping in [&by_a, &without_b] {
                let result = aggregate(op, None, Some(grouping), input.clone());
                assert_eq!(result[0], series(&[("a", "1")], &expected), "{op:?}");
                assert_eq!(result[1].labels, Labels::new([("a", "2")]));
            }
        }
        let top = aggregate(AggregateOp::Topk, Some(1), None, input);
        assert_eq!(
            top,
            [
                series(&[("a", "1"), ("b", "y")], &[Some(5.0), None]),
                series(&[("a", "2"), ("b", "x")], &[None, Some(7.0)]),
            ]
        );
    }

    #[test]
    fn labels_are_made_of_others() {
        let one = || vec![series(&[("from", "api-7")], &[Some(1.0)])];
        let replace = |series, to: &str, with: &str, pattern: &str| {
            replace_label(series, to, with, "from", pattern)
        };
        assert_eq!(
            replace(one(), "to", "$1", "(.*)-\\d").unwrap()[0].labels,
            Labels::new([("from", "api-7"), ("to", "api")])
        );
        assert_eq!(replace(one(), "to", "x", "api").unwrap(), one());
        assert!(
            replace(one(), "from", "", ".*").unwrap()[0]
                .labels
                .is_empty()
        );
        let two = vec![one()[0].clone(), series(&[("from", "api-8")], &[None])];
        assert!(
            replace(two, "from", "x", ".*")
                .unwrap_err()
                .contains("several series")
        );
    }

    #[test]
    fn sides_meet_by_their_labels() {
        let left = || {
            Value::Vector(vec![
                series(&[("a", "1")], &[Some(4.0), Some(1.0)]),
                series(&[("a", "2")], &[Some(3.0), None]),
            ])
        };
        let right = || Value::Vector(vec![series(&[("a", "1")], &[Some(2.0), Some(2.0)])]);
        let run = |op| binary(op, false, None, left(), right(), 2);
        let one = |points: &[Option<f64>]| Ok(Value::Vector(vec![series(&[("a", "1")], points)]));
        assert_eq!(run(BinaryOp::Divide), one(&[Some(2.0), Some(0.5)]));
        assert_eq!(run(BinaryOp::Greater), one(&[Some(4.0), None]));
        assert_eq!(run(BinaryOp::And), one(&[Some(4.0), Some(1.0)]));
        let unless = Value::Vector(vec![series(&[("a", "2")], &[Some(3.0), None])]);
        assert_eq!(run(BinaryOp::Unless), Ok(unless));
        assert_eq!(run(BinaryOp::Or), Ok(left()));
        let on_nothing = VectorMatching {
            on: true,
            labels: vec![],
            many: None,
        };
        let error = binary(BinaryOp::Add, false, Some(&on_nothing), left(), right(), 2);
        assert!(error.unwrap_err().contains("left side"));
        let grouped = |many_left: bool, include: &[&str]| {
            let matching = VectorMatching {
                on: true,
                labels: vec!["a".to_owned()],
                many: Some(Many {
                    left: many_left,
                    include: include.iter().map(|name| (*name).to_owned()).collect(),
                }),
            };
            let many = Value::Vector(vec![
                series(&[("a", "1"), ("b", "x")], &[Some(4.0), Some(1.0)]),
                series(&[("a", "1"), ("b", "y")], &[Some(3.0), None]),
                series(&[("a", "2"), ("b", "y")], &[Some(3.0), None]),
            ]);
            let one = Value::Vector(vec![series(
                &[("a", "1"), ("team", "t")],
                &[Some(2.0), Some(2.0)],
            )]);
            let (left, right) = match many_left {
                true => (many, one),
                false => (one, many),
            };
            binary(BinaryOp::Divide, false, Some(&matching), left, right, 2)
        };
        assert_eq!(
            grouped(true, &["team"]),
            Ok(Value::Vector(vec![
                series(
                    &[("a", "1"), ("b", "x"), ("team", "t")],
                    &[Some(2.0), Some(0.5)]
                ),
                series(&[("a", "1"), ("b", "y"), ("team", "t")], &[Some(1.5), None]),
            ]))
        );
        assert_eq!(
            grouped(false, &[]),
            Ok(Value::Vector(vec![
                series(&[("a", "1"), ("b", "x")], &[Some(0.5), Some(2.0)]),
                series(&[("a", "1"), ("b", "y")], &[Some(2.0 / 3.0), None]),
            ]))
        );
        assert!(
            grouped(true, &["b"])
                .unwrap_err()
                .contains("several results")
        );
        let scaled = binary(
            BinaryOp::Multiply,
            false,
            None,
            right(),
            Value::Scalar(2.0),
            2,
        );
        assert_eq!(scaled, one(&[Some(4.0), Some(4.0)]));
        let as_number = binary(BinaryOp::Less, true, None, right(), Value::Scalar(2.0), 2);
        assert_eq!(as_number, one(&[Some(0.0), Some(0.0)]));
    }
}
