//! The value of duration expressions.

use super::error::EvalError;
use super::plan::Planner;
use crate::ast::{DurationExpr, DurationKind, DurationOp};

/// The duration in ms, of any sign.
pub(super) fn ms(duration: &DurationExpr, planner: &Planner<'_>) -> Result<i64, EvalError> {
    let seconds = seconds(duration, planner)?;
    let ms = (seconds * 1_000.0).round();
    // Nanoseconds in 64 bits bound durations in Prometheus.
    let fits = ms.abs() <= 9.223_372_036_854e12;
    if !fits {
        return Err(EvalError::Execution {
            message: "duration is out of range".to_owned(),
            span: duration.span,
        });
    }
    Ok(ms as i64)
}

/// The duration in ms, which must be greater than 0.
pub(super) fn positive_ms(
    duration: &DurationExpr,
    planner: &Planner<'_>,
) -> Result<i64, EvalError> {
    let ms = ms(duration, planner)?;
    if ms <= 0 {
        return Err(EvalError::Execution {
            message: "duration must be greater than 0".to_owned(),
            span: duration.span,
        });
    }
    Ok(ms)
}

fn seconds(duration: &DurationExpr, planner: &Planner<'_>) -> Result<f64, EvalError> {
    Ok(match &duration.kind {
        DurationKind::Literal(number) => number.value,
        DurationKind::Step => planner.written_step_ms as f64 / 1_000.0,
        DurationKind::Range => {
            planner.query.end_ms.saturating_sub(planner.query.start_ms) as f64 / 1_000.0
        }
        DurationKind::Negated(inner) => -seconds(inner, planner)?,
        DurationKind::Paren(inner) => seconds(inner, planner)?,
        DurationKind::Binary(op, left, right) => {
            let (a, b) = (seconds(left, planner)?, seconds(right, planner)?);
            if matches!(op, DurationOp::Div | DurationOp::Mod) && b == 0.0 {
                let message = match op {
                    DurationOp::Div => "division by zero",
                    _ => "modulo by zero",
                };
                return Err(EvalError::execution(right.span, message));
            }
            match op {
                DurationOp::Add => a + b,
                DurationOp::Sub => a - b,
                DurationOp::Mul => a * b,
                DurationOp::Div => a / b,
                DurationOp::Mod => a % b,
                DurationOp::Pow => a.powf(b),
                DurationOp::Min => a.min(b),
                DurationOp::Max => a.max(b),
            }
        }
    })
}
