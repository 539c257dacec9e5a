//! The rules of the language that need types.

use crate::ast::{
    Aggregate, Binary, BinaryOp, Call, Cardinality, Expr, ExprKind, ValueType, VectorMatching,
};
use crate::error::ParseError;
use crate::span::Span;

/// Checks and completes an operator with its operands.
pub(crate) fn binary(
    query: &str,
    binary: &mut Binary,
    op_span: Span,
    span: Span,
) -> Result<(), ParseError> {
    let op = binary.op;
    let name = op.as_str();
    for side in [&binary.left, &binary.right] {
        let value_type = side.value_type();
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            let message = format!(
                "{name:?} works on scalars and instant vectors, got {}",
                value_type.with_article()
            );
            let error = ParseError::new(query, side.span, message);
            return Err(match value_type {
                ValueType::Matrix => {
                    error.with_hint("put a function such as rate(…) around the range vector")
                }
                _ => error,
            });
        }
    }
    let scalar_left = binary.left.value_type() == ValueType::Scalar;
    let scalar_right = binary.right.value_type() == ValueType::Scalar;
    let error = |message: String| ParseError::new(query, op_span, message);
    if binary.return_bool && !op.is_comparison() {
        return Err(error(format!(
            "bool goes with comparisons only, not with {name:?}"
        )));
    }
    if op.is_comparison() && !binary.return_bool && scalar_left && scalar_right {
        return Err(error("a comparison of two scalars needs bool".to_owned())
            .with_hint(format!("write {name} bool")));
    }
    if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) && scalar_left && scalar_right {
        return Err(error(format!(
            "{name:?} trims histograms, so one side must be an instant vector"
        )));
    }
    if op.is_set() && (scalar_left || scalar_right) {
        return Err(error(format!(
            "{name:?} works on two instant vectors, not on scalars"
        )));
    }
    if scalar_left || scalar_right {
        return no_matching(query, &binary.matching, span);
    }
    matching(&mut binary.matching, op.is_set(), name).map_err(error)
}

/// Without two vectors, nothing can be matched.
fn no_matching(query: &str, matching: &VectorMatching, span: Span) -> Result<(), ParseError> {
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    let message = if !matching.labels.is_empty() {
        "on (…) and ignoring (…) match two instant vectors, and one side is a scalar"
    } else if fills {
        "fill (…) works between two instant vectors, and one side is a scalar"
    } else {
        return Ok(());
    };
    Err(ParseError::new(query, span, message))
}

fn matching(matching: &mut VectorMatching, is_set: bool, op: &str) -> Result<(), String> {
    if matching.on
        && let Some(label) = matching
            .include
            .iter()
            .find(|l| matching.labels.contains(l))
    {
        return Err(format!(
            "label {label:?} cannot stand in on (…) and in group_left or group_right"
        ));
    }
    if !is_set {
        return Ok(());
    }
    if matching.cardinality != Cardinality::OneToOne {
        return Err(format!("{op:?} takes no group_left or group_right"));
    }
    if matching.fill_left.is_some() || matching.fill_right.is_some() {
        return Err(format!("{op:?} takes no fill (…)"));
    }
    matching.cardinality = Cardinality::ManyToMany;
    Ok(())
}

/// Checks an aggregation's arguments.
pub(crate) fn aggregate(query: &str, aggregate: &Aggregate) -> Result<(), ParseError> {
    let name = aggregate.op.as_str();
    expect_type(query, &aggregate.operand, ValueType::Vector, name)?;
    match (&aggregate.parameter, aggregate.op.parameter()) {
        (Some(parameter), Some(value_type)) => expect_type(query, parameter, value_type, name),
        _ => Ok(()),
    }
}

/// Checks a call's arguments.
pub(crate) fn call(query: &str, call: &Call, span: Span) -> Result<(), ParseError> {
    let function = call.function;
    let got = call.args.len();
    if got < function.min_args || got > function.max_args {
        let expected = match (function.min_args, function.max_args) {
            (min, max) if min == max => format!("{min}"),
            (min, usize::MAX) => format!("at least {min}"),
            (min, max) => format!("{min} to {max}"),
        };
        let plural = if expected == "1" { "" } else { "s" };
        let name = function.name;
        let message = format!("{name} takes {expected} argument{plural}, got {got}");
        return Err(ParseError::new(query, span, message));
    }
    for (index, arg) in call.args.iter().enumerate() {
        if let Some(expected) = function.arg_type(index) {
            expect_type(query, arg, expected, function.name)?;
        }
    }
    if let ("info", Some(labels)) = (function.name, call.args.get(1)) {
        let plain = matches!(&labels.kind, ExprKind::Selector(selector) if selector.name.is_none());
        if !plain {
            let message = "info takes label matchers in braces as its second argument";
            return Err(ParseError::new(query, labels.span, message)
                .with_hint("write info(metric, {data=~\".+\"})"));
        }
    }
    Ok(())
}

fn expect_type(
    query: &str,
    expr: &Expr,
    expected: ValueType,
    name: &str,
) -> Result<(), ParseError> {
    let got = expr.value_type();
    if got == expected {
        return Ok(());
    }
    let message = format!(
        "{name} expects {} here, got {}",
        expected.with_article(),
        got.with_article()
    );
    let error = ParseError::new(query, expr.span, message);
    Err(match (expected, got) {
        (ValueType::Matrix, ValueType::Vector) => match expr.unparenthesized().kind {
            ExprKind::Selector(_) => error.with_hint("give the selector a range, such as [5m]"),
            _ => error.with_hint("give the expression a range, such as [5m:]"),
        },
        (ValueType::Vector, ValueType::Matrix) => {
            error.with_hint("remove the range, or put a function such as rate(…) around it")
        }
        (ValueType::Scalar, ValueType::Vector) => error.with_hint("scalar(…) makes a scalar of it"),
        (ValueType::Vector, ValueType::Scalar) => error.with_hint("vector(…) makes a vector of it"),
        _ => error,
    })
}
