//! Running a script over a memory source.

use futures::executor::block_on;
use model::{Labels, SampleValue};
use promql::memory::MemorySource;
use promql::{EvalOptions, QueryResult, QueryValue, Series, instant, parse, range};

use super::{Command, CommandKind, Eval, Expectation, When};

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
                series,
                ..
            } => {
                for (labels, values) in series {
                    for (index, value) in values.iter().enumerate() {
                        if let Some(value) = value {
                            source.insert(
                                labels.clone(),
                                index as i64 * interval_ms,
                                value.clone(),
                            );
                        }
                    }
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
        (Err(error), Some(_)) if error.starts_with("unsupported") => return Err(error),
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
            .all(|(a, b)| a.0 == b.0 && values_match(&a.1, &b.1));
    match same {
        true => Ok(()),
        false => Err(format!(
            "a range query gives {at_time:?} where the instant query gives {instant:?}"
        )),
    }
}

fn check_annotations(eval: &Eval, result: &QueryResult) -> Result<(), String> {
    let warnings = result.annotations.warnings(&eval.query);
    let infos = result.annotations.infos(&eval.query);
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
    let mut expected: Vec<(Labels, SampleValue)> = Vec::new();
    for (labels, values) in &eval.series {
        match values.as_slice() {
            [Some(value)] => expected.push((labels.clone(), value.clone())),
            [None] | [] => {}
            more => return Err(format!("an instant vector has no {more:?}")),
        }
    }
    if !eval
        .expectations
        .iter()
        .any(|e| matches!(e, Expectation::Ordered))
    {
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        got.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let same = expected.len() == got.len()
        && expected
            .iter()
            .zip(&got)
            .all(|(e, g)| e.0 == g.0 && values_match(&e.1, &g.1));
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
    let mut expected: Vec<(Labels, Vec<(i64, SampleValue)>)> =
        eval.series
            .iter()
            .map(|(labels, values)| {
                let samples = values.iter().enumerate().filter_map(|(index, value)| {
                    Some((start + step * index as i64, value.clone()?))
                });
                (labels.clone(), samples.collect())
            })
            .collect();
    // A scalar over steps is written as one series without labels.
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    let got: Vec<(Labels, Vec<(i64, SampleValue)>)> = got
        .iter()
        .map(|series| (series.labels.clone(), series.samples().collect()))
        .collect();
    let same = expected.len() == got.len()
        && expected.iter().zip(&got).all(|(e, g)| {
            e.0 == g.0
                && e.1.len() == g.1.len()
                && e.1
                    .iter()
                    .zip(&g.1)
                    .all(|(e, g)| e.0 == g.0 && values_match(&e.1, &g.1))
        });
    match same {
        true => Ok(()),
        false => Err(format!("got {got:?}, expected {expected:?}")),
    }
}

fn values_match(a: &SampleValue, b: &SampleValue) -> bool {
    match (a, b) {
        (SampleValue::Float(a), SampleValue::Float(b)) => floats_match(*a, *b),
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => a == b,
        _ => false,
    }
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
