//! Running a script over a memory source.

use futures::executor::block_on;
use model::{Labels, NativeHistogram, SampleValue};
use promql::ast::{At, Expr, ExprKind, TimeModifiers};
use promql::memory::MemorySource;
use promql::{EvalOptions, QueryResult, QueryValue, Series, Severity, instant, parse, range};

use super::{Command, CommandKind, Eval, Expectation, Expected, When, native};

/// A query that did not do what its script expects.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) line: usize,
    pub(crate) query: String,
    pub(crate) reason: String,
}

/// How many queries there were, and which went wrong.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) total: usize,
    pub(crate) failures: Vec<Failure>,
}

impl Report {
    pub(crate) fn passed(&self) -> usize {
        self.total - self.failures.len()
    }
}

/// Runs every command.
pub(crate) fn run(commands: &[Command]) -> Report {
    let mut source = MemorySource::new();
    let mut report = Report::default();
    for command in commands {
        match &command.kind {
            CommandKind::Clear => source.clear(),
            CommandKind::Load {
                interval_ms,
                with_native,
                series,
            } => {
                load(&mut source, *interval_ms, series);
                if *with_native {
                    load(&mut source, *interval_ms, &native::of_classic(series));
                }
            }
            CommandKind::Eval(eval) => {
                report.total += 1;
                if let Err(reason) = check(eval, &source) {
                    report.failures.push(Failure {
                        line: command.line,
                        query: eval.query.clone(),
                        reason,
                    });
                }
            }
        }
    }
    report
}

type LoadedSeries = (Labels, Vec<Option<SampleValue>>);

fn load(source: &mut MemorySource, interval_ms: i64, series: &[LoadedSeries]) {
    for (labels, values) in series {
        for (index, value) in values.iter().enumerate() {
            if let Some(value) = value {
                source.insert(labels.clone(), index as i64 * interval_ms, value.clone());
            }
        }
    }
}

fn options() -> EvalOptions {
    EvalOptions::default()
}

fn evaluate(eval: &Eval, source: &MemorySource) -> Result<QueryResult, String> {
    let expr = parse(&eval.query).map_err(|error| error.to_string())?;
    let options = options();
    let result = match eval.at {
        When::Instant(time) => block_on(instant(&expr, source, time, &options)),
        When::Range { start, end, step } => {
            block_on(range(&expr, source, start, end, step, &options))
        }
    };
    result.map_err(|error| error.to_string())
}

fn check(eval: &Eval, source: &MemorySource) -> Result<(), String> {
    let fails = eval
        .expectations
        .iter()
        .find_map(|expectation| match expectation {
            Expectation::Fail(text) => Some(text),
            _ => None,
        });
    let result = match (evaluate(eval, source), fails) {
        (Err(error), None) => return Err(error),
        (Err(error), Some(expected)) if expected.matches(&error) => return Ok(()),
        (Err(error), Some(expected)) => {
            return Err(format!("failed with {error:?}, not {expected:?}"));
        }
        (Ok(_), Some(_)) => return Err("did not fail".to_owned()),
        (Ok(result), None) => result,
    };
    check_annotations(eval, &result)?;
    check_value(eval, &result.value)?;
    if let When::Instant(time) = eval.at {
        check_as_range(eval, source, &result.value, time)?;
        check_at_other_times(eval, source, &result.value, time)?;
    }
    Ok(())
}

/// An instant query gives the same as the steps of a range query around it.
fn check_as_range(
    eval: &Eval,
    source: &MemorySource,
    value: &QueryValue,
    time: i64,
) -> Result<(), String> {
    let QueryValue::Vector(samples) = value else {
        return Ok(());
    };
    // These look at the query itself, so they differ between the two.
    let ordered = [
        "sort", "topk", "bottomk", "limit", "start()", "end()", "range()", "step()",
    ];
    if ordered.iter().any(|word| eval.query.contains(word)) {
        return Ok(());
    }
    let expr = parse(&eval.query).map_err(|error| error.to_string())?;
    let ranged = block_on(range(
        &expr,
        source,
        time - 60_000,
        time + 60_000,
        60_000,
        &options(),
    ));
    // Some other step may fail where this one does not.
    let Ok(QueryResult {
        value: QueryValue::Matrix(series),
        ..
    }) = ranged
    else {
        return Ok(());
    };
    let mut at_time: Vec<(Labels, SampleValue)> = series
        .iter()
        .flat_map(|series| {
            let samples = series.samples().filter(|(at, _)| *at == time);
            samples.map(|(_, value)| (series.labels.clone(), value))
        })
        .collect();
    let mut instant: Vec<(Labels, SampleValue)> = samples
        .iter()
        .map(|sample| (sample.labels.clone(), sample.value.clone()))
        .collect();
    at_time.sort_by(|a, b| a.0.cmp(&b.0));
    instant.sort_by(|a, b| a.0.cmp(&b.0));
    let same = at_time.len() == instant.len()
        && at_time
            .iter()
            .zip(&instant)
            .all(|(a, b)| a.0 == b.0 && values_match(&a.1, &b.1, false));
    match same {
        true => Ok(()),
        false => Err(format!(
            "a range query gives {at_time:?} where the instant query gives {instant:?}"
        )),
    }
}

/// Functions whose value depends on when they are evaluated, whatever their arguments say.
const OF_THE_TIME: [&str; 12] = [
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "hour",
    "info",
    "minute",
    "month",
    "predict_linear",
    "time",
    "timestamp",
    "year",
];

/// With the time written behind every selector, the result is the same at any other time.
fn check_at_other_times(
    eval: &Eval,
    source: &MemorySource,
    value: &QueryValue,
    time: i64,
) -> Result<(), String> {
    let mut expr = parse(&eval.query).map_err(|error| error.to_string())?;
    let fixed = pin(&mut expr, time);
    let others = if fixed {
        vec![time, time + 3_600_000, 0]
    } else {
        vec![time]
    };
    for at in others {
        let result = block_on(instant(&expr, source, at, &options()));
        let pinned = result
            .map_err(|error| format!("{expr} at {at}: {error}"))?
            .value;
        if !same_values(value, &pinned) {
            return Err(format!("{expr} at {at}: {pinned:?} instead of {value:?}"));
        }
    }
    Ok(())
}

/// Puts `@` behind selectors and subqueries that have none, outermost first. Whether the result
/// depends on nothing but that.
fn pin(expr: &mut Expr, time: i64) -> bool {
    let pin_one = |modifiers: &mut TimeModifiers| {
        modifiers.at.get_or_insert(At::Millis(time));
    };
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Bytes(_) => true,
        ExprKind::Paren(inner) => pin(inner, time),
        ExprKind::Unary(unary) => pin(&mut unary.operand, time),
        ExprKind::Binary(binary) => {
            // Both are to be visited.
            let (left, right) = (pin(&mut binary.left, time), pin(&mut binary.right, time));
            left && right
        }
        ExprKind::Aggregate(aggregate) => {
            let parameter = aggregate.parameter.as_mut();
            let parameter = parameter.is_none_or(|parameter| pin(parameter, time));
            pin(&mut aggregate.operand, time) && parameter
        }
        ExprKind::Call(call) => {
            let mut fixed = !OF_THE_TIME.contains(&call.function.name)
                && !matches!(call.function.name, "start" | "end" | "range" | "step");
            for arg in &mut call.args {
                fixed &= pin(arg, time);
            }
            fixed
        }
        ExprKind::Selector(selector) => {
            pin_one(&mut selector.time);
            true
        }
        ExprKind::Range(range) => {
            pin_one(&mut range.selector.time);
            true
        }
        ExprKind::Subquery(subquery) => {
            pin_one(&mut subquery.time);
            true
        }
    }
}

fn same_values(a: &QueryValue, b: &QueryValue) -> bool {
    match (a, b) {
        (QueryValue::Scalar { value: a, .. }, QueryValue::Scalar { value: b, .. }) => {
            floats_match(*a, *b)
        }
        (QueryValue::String { value: a, .. }, QueryValue::String { value: b, .. }) => a == b,
        (QueryValue::Vector(a), QueryValue::Vector(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| a.labels == b.labels && values_match(&a.value, &b.value, true))
        }
        (QueryValue::Matrix(a), QueryValue::Matrix(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| {
                    let pairs = a.samples().zip(b.samples());
                    let mut pairs =
                        pairs.map(|(a, b)| a.0 == b.0 && values_match(&a.1, &b.1, true));
                    a.labels == b.labels && pairs.all(|same| same)
                })
        }
        _ => false,
    }
}

fn check_annotations(eval: &Eval, result: &QueryResult) -> Result<(), String> {
    let of = |severity: Severity| -> Vec<String> {
        let annotations = result.annotations.iter();
        annotations
            .filter(|annotation| annotation.severity == severity)
            .map(|annotation| annotation.render(&eval.query))
            .collect()
    };
    let (warnings, infos) = (of(Severity::Warning), of(Severity::Info));
    let mut expects = (false, false);
    for expectation in &eval.expectations {
        match expectation {
            Expectation::NoWarn if !warnings.is_empty() => {
                return Err(format!("unexpected warnings {warnings:?}"));
            }
            Expectation::NoInfo if !infos.is_empty() => {
                return Err(format!("unexpected infos {infos:?}"));
            }
            Expectation::Warn(text) => {
                expects.0 = true;
                if !warnings.iter().any(|warning| text.matches(warning)) {
                    return Err(format!("warnings {warnings:?} lack {text:?}"));
                }
            }
            Expectation::Info(text) => {
                expects.1 = true;
                if !infos.iter().any(|info| text.matches(info)) {
                    return Err(format!("infos {infos:?} lack {text:?}"));
                }
            }
            _ => {}
        }
    }
    let covered = |texts: &[String], pick: fn(&Expectation) -> Option<&super::TextMatch>| {
        texts.iter().all(|text| {
            let mut expected = eval.expectations.iter().filter_map(pick);
            expected.any(|expected| expected.matches(text))
        })
    };
    if expects.0
        && !covered(&warnings, |e| match e {
            Expectation::Warn(t) => Some(t),
            _ => None,
        })
    {
        return Err(format!("more warnings than expected: {warnings:?}"));
    }
    if expects.1
        && !covered(&infos, |e| match e {
            Expectation::Info(t) => Some(t),
            _ => None,
        })
    {
        return Err(format!("more infos than expected: {infos:?}"));
    }
    Ok(())
}

fn check_value(eval: &Eval, value: &QueryValue) -> Result<(), String> {
    for expectation in &eval.expectations {
        if let Expectation::String(expected) = expectation {
            return match value {
                QueryValue::String { value, .. } if value == expected => Ok(()),
                other => Err(format!("got {other:?}, expected the string {expected:?}")),
            };
        }
    }
    match value {
        QueryValue::Scalar { value, .. } => {
            let expected = eval.scalar.ok_or(format!("got the scalar {value}"))?;
            match floats_match(*value, expected) {
                true => Ok(()),
                false => Err(format!("got {value}, expected {expected}")),
            }
        }
        QueryValue::String { value, .. } => Err(format!("got the string {value:?}")),
        QueryValue::Vector(samples) => {
            let got: Vec<(Labels, SampleValue)> = samples
                .iter()
                .map(|sample| (sample.labels.clone(), sample.value.clone()))
                .collect();
            check_vector(eval, got)
        }
        QueryValue::Matrix(series) => check_matrix(eval, series),
    }
}

fn check_vector(eval: &Eval, mut got: Vec<(Labels, SampleValue)>) -> Result<(), String> {
    let mut expected: Vec<(&Labels, &SampleValue, bool)> = Vec::new();
    for series in &eval.series {
        match series.values.as_slice() {
            [Some(value)] => expected.push((&series.labels, value, series.has_reset_hints)),
            [None] | [] => {}
            more => return Err(format!("an instant vector has no {more:?}")),
        }
    }
    if !eval
        .expectations
        .iter()
        .any(|e| matches!(e, Expectation::Ordered))
    {
        expected.sort_by(|a, b| a.0.cmp(b.0));
        got.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let same = expected.len() == got.len()
        && expected
            .iter()
            .zip(&got)
            .all(|(e, g)| *e.0 == g.0 && values_match(e.1, &g.1, e.2));
    match same {
        true => Ok(()),
        false => Err(format!("got {got:?}, expected {expected:?}")),
    }
}

fn check_matrix(eval: &Eval, got: &[Series]) -> Result<(), String> {
    let range_vector = eval.expectations.iter().find_map(|e| match e {
        Expectation::RangeVector { start, step } => Some((*start, *step)),
        _ => None,
    });
    let (start, step) = match (range_vector, eval.at) {
        (Some(times), _) => times,
        (None, When::Range { start, step, .. }) => (start, step),
        (None, When::Instant(_)) => return Err("got a range vector".to_owned()),
    };
    // A scalar over steps is written as one series without labels.
    let mut expected: Vec<&Expected> = eval.series.iter().collect();
    expected.sort_by(|a, b| a.labels.cmp(&b.labels));
    let same = expected.len() == got.len()
        && expected
            .iter()
            .zip(got)
            .all(|(expected, got)| series_match(expected, start, step, got));
    match same {
        true => Ok(()),
        false => Err(format!("got {got:?}, expected {expected:?}")),
    }
}

fn series_match(expected: &Expected, start: i64, step: i64, got: &Series) -> bool {
    let times = (0..).map(|index| start + step * index);
    let samples = times
        .zip(&expected.values)
        .filter_map(|(time, value)| Some((time, value.as_ref()?)));
    let samples: Vec<(i64, &SampleValue)> = samples.collect();
    let got_samples: Vec<(i64, SampleValue)> = got.samples().collect();
    expected.labels == got.labels
        && samples.len() == got_samples.len()
        && samples
            .iter()
            .zip(&got_samples)
            .all(|(e, g)| e.0 == g.0 && values_match(e.1, &g.1, expected.has_reset_hints))
}

fn values_match(expected: &SampleValue, got: &SampleValue, with_hints: bool) -> bool {
    match (expected, got) {
        (SampleValue::Float(a), SampleValue::Float(b)) => floats_match(*a, *b),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => {
            histograms_match(a, b) && (!with_hints || a.reset_hint == b.reset_hint)
        }
        _ => false,
    }
}

/// Equal layouts without empty buckets, and counts that match.
fn histograms_match(a: &NativeHistogram, b: &NativeHistogram) -> bool {
    let (mut a, mut b) = (a.clone(), b.clone());
    a.compact();
    b.compact();
    let all_match = |a: &[f64], b: &[f64]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| floats_match(*a, *b))
    };
    a.schema == b.schema
        && a.custom_values == b.custom_values
        && a.zero_threshold == b.zero_threshold
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && all_match(
            &[a.count, a.sum, a.zero_count],
            &[b.count, b.sum, b.zero_count],
        )
        && all_match(&a.positive_counts, &b.positive_counts)
        && all_match(&a.negative_counts, &b.negative_counts)
}

/// Within a millionth, as the scripts are written for.
fn floats_match(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let sum = a.abs() + b.abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return (a - b).abs() < 1e-6 * f64::MIN_POSITIVE;
    }
    (a - b).abs() / sum.min(f64::MAX) < 1e-6
}
