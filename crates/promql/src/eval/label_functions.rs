//! `label_replace`, `label_join`, and the labels of `absent`.

use std::collections::HashSet;

use model::labels::METRIC_NAME;
use model::{Labels, MatchOp};

use super::column::{Column, unite};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::plan::Node;
use crate::ast::{Expr, ExprKind};
use crate::matching::compile_anchored;

/// `label_replace(vector, target, replacement, source, regex)`.
pub(super) fn replace(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
) -> Result<Vec<Column>, EvalError> {
    let [vector, target, replacement, source, pattern] = node.children.as_slice() else {
        return Err(EvalError::execution(
            node.expr.span,
            "label_replace takes 5 arguments",
        ));
    };
    let target = label_name(evaluation, target, "destination", "label_replace")?;
    let replacement = evaluation.string(replacement)?;
    let source = evaluation.string(source)?;
    let pattern_text = evaluation.string(pattern)?;
    let pattern = compile_anchored(&pattern_text).map_err(|_| {
        EvalError::execution(
            pattern.expr.span,
            format!("invalid regular expression in label_replace(): {pattern_text}"),
        )
    })?;
    let mut columns = evaluation.vector(vector)?;
    for column in &mut columns {
        let value = column.labels.get(&source).unwrap_or("");
        let Some(captures) = pattern.captures(value) else {
            continue;
        };
        let mut replaced = String::new();
        captures.expand(&replacement, &mut replaced);
        column.labels = column.labels.with(&target, &replaced);
        if target == METRIC_NAME {
            column.drop_name = false;
        }
    }
    unite(columns, node.expr.span)
}

/// `label_join(vector, target, separator, sources…)`.
pub(super) fn join(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
) -> Result<Vec<Column>, EvalError> {
    let [vector, target, separator, sources @ ..] = node.children.as_slice() else {
        return Err(EvalError::execution(
            node.expr.span,
            "label_join takes 3 arguments or more",
        ));
    };
    let sources = sources
        .iter()
        .map(|source| label_name(evaluation, source, "source", "label_join"))
        .collect::<Result<Vec<String>, EvalError>>()?;
    let target = label_name(evaluation, target, "destination", "label_join")?;
    let separator = evaluation.string(separator)?;
    let mut columns = evaluation.vector(vector)?;
    for column in &mut columns {
        let values: Vec<&str> = sources
            .iter()
            .map(|source| column.labels.get(source).unwrap_or(""))
            .collect();
        column.labels = column.labels.with(&target, &values.join(&separator));
        if target == METRIC_NAME {
            column.drop_name = false;
        }
    }
    unite(columns, node.expr.span)
}

fn label_name(
    evaluation: &mut Evaluation<'_>,
    argument: &Node<'_>,
    role: &str,
    function: &str,
) -> Result<String, EvalError> {
    evaluation.label_name(argument, |quoted| {
        let bare = quoted.trim_matches('"');
        format!("invalid {role} label name in {function}(): {bare}")
    })
}

/// The labels that a selector fixes to one value each, for `absent` and `absent_over_time`.
pub(super) fn fixed_by(expr: &Expr) -> Labels {
    let selector = match &expr.unparenthesized().kind {
        ExprKind::Selector(selector) => selector.as_ref(),
        ExprKind::Range(range) => &range.selector,
        _ => return Labels::empty(),
    };
    let mut fixed: Vec<(&str, &str)> = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for matcher in &selector.matchers {
        let name = matcher.name.as_str();
        if name == METRIC_NAME {
            continue;
        }
        // A label with two conditions is not fixed to one value.
        if seen.insert(name) && matcher.op == MatchOp::Equal {
            fixed.push((name, &matcher.value));
        } else {
            fixed.retain(|(other, _)| *other != name);
        }
    }
    Labels::new(fixed)
}
