//! Deciding what to read before anything is read: the windows of every selector.
//!
//! A plan mirrors the tree. Each node knows the instants it is evaluated at, which inside of a
//! subquery are others than the query's, and which window of samples each of these instants sees.
//! Each distinct selection is fetched once.

use model::Matcher;

use super::duration;
use super::error::EvalError;
use super::options::EvalOptions;
use super::steps::Steps;
use crate::ast::{At, Expr, ExprKind, RangeExtension, Selector, TimeModifiers};
use crate::source::Window;

/// A node of the tree with the instants it is evaluated at.
#[derive(Debug)]
pub(super) struct Node<'e> {
    pub(super) expr: &'e Expr,
    /// When it is evaluated; the parent's steps, or one of them when `repeat` is set.
    pub(super) steps: Steps,
    /// How often the value at the one step is repeated, for what does not depend on the step.
    pub(super) repeat: Option<usize>,
    /// Which samples each step sees, for selectors and subqueries.
    pub(super) reading: Option<Reading>,
    /// The steps of a subquery's expression.
    pub(super) inner_steps: Option<Steps>,
    /// In the order of [`Expr::children`].
    pub(super) children: Vec<Node<'e>>,
}

/// Which samples a step sees: those in the left-open window before a reference time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// The selection's index in the plan; `None` for a subquery.
    pub(super) selection: Option<usize>,
    /// How far the window reaches back: the range, or the lookback of an instant selector.
    pub(super) range_ms: i64,
    /// The reference time for all steps, when `@` sets it.
    at_ms: Option<i64>,
    offset_ms: i64,
}

impl Reading {
    /// The last instant that the step at `time_ms` sees.
    pub(super) fn until(&self, time_ms: i64) -> i64 {
        self.at_ms.unwrap_or(time_ms).saturating_sub(self.offset_ms)
    }

    /// The window that the step at `time_ms` sees.
    pub(super) fn window(&self, time_ms: i64) -> Window {
        let until = self.until(time_ms);
        Window::new(until.saturating_sub(self.range_ms), until)
    }

    /// The window that holds those of all steps.
    fn over(&self, steps: Steps) -> Window {
        let first = self.window(steps.start_ms);
        let last = self.window(steps.end_ms);
        // A subquery may have no step at all: an empty window, not one that ends before it starts.
        Window::new(first.after_ms, last.until_ms.max(first.after_ms))
    }
}

/// Samples to fetch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) matchers: Vec<Matcher>,
    pub(super) window: Window,
}

/// Plans a query over its steps.
pub(super) struct Planner<'o> {
    pub(super) query: Steps,
    /// The query's step in ms as its author knows it: 0 in an instant query.
    pub(super) written_step_ms: i64,
    pub(super) options: &'o EvalOptions,
    pub(super) selections: Vec<Selection>,
}

impl Planner<'_> {
    /// The plan of `expr` evaluated at `steps`.
    pub(super) fn node<'e>(&mut self, expr: &'e Expr, steps: Steps) -> Result<Node<'e>, EvalError> {
        let count = steps.len();
        let once = count > 1 && is_step_invariant(expr);
        let repeat = once.then_some(count);
        let steps = match repeat {
            Some(_) => Steps::single(steps.start_ms),
            None => steps,
        };
        let mut node = Node {
            expr,
            steps,
            repeat,
            reading: None,
            inner_steps: None,
            children: Vec::new(),
        };
        match &expr.kind {
            ExprKind::Selector(selector) => {
                let reading = self.reading(&selector.time, self.options.lookback_ms)?;
                node.reading = Some(self.select(selector, reading, steps));
            }
            ExprKind::Range(range) => {
                let range_ms = duration::positive_ms(&range.range, self)?;
                let reading = self.reading(&range.selector.time, range_ms)?;
                node.reading = Some(self.select(&range.selector, reading, steps));
            }
            ExprKind::Subquery(subquery) => {
                let range_ms = duration::positive_ms(&subquery.range, self)?;
                let reading = self.reading(&subquery.time, range_ms)?;
                let step_ms = match &subquery.step {
                    Some(step) => duration::positive_ms(step, self)?,
                    None => self.options.default_step_ms.max(1),
                };
                let inner = subquery_steps(reading.over(steps), step_ms);
                // Even a scalar has a number at each of these.
                let limit = self.options.limits.max_samples;
                if inner.count() > limit as u64 {
                    return Err(EvalError::TooManySamples { limit });
                }
                node.reading = Some(reading);
                node.inner_steps = Some(inner);
                node.children.push(self.node(&subquery.expr, inner)?);
            }
            _ => {
                for child in expr.children() {
                    node.children.push(self.node(child, steps)?);
                }
            }
        }
        Ok(node)
    }

    fn reading(&self, time: &TimeModifiers, range_ms: i64) -> Result<Reading, EvalError> {
        let offset_ms = match &time.offset {
            Some(offset) => duration::ms(offset, self)?,
            None => 0,
        };
        let at_ms = time.at.map(|at| match at {
            At::Millis(ms) => ms,
            At::Start => self.query.start_ms,
            At::End => self.query.end_ms,
        });
        Ok(Reading {
            selection: None,
            range_ms,
            at_ms,
            offset_ms,
        })
    }

    /// The reading with its selection, which is shared by equal ones.
    fn select(&mut self, selector: &Selector, reading: Reading, steps: Steps) -> Reading {
        let mut window = reading.over(steps);
        let lookback = self.options.lookback_ms;
        if selector.extension.is_some() {
            window.after_ms = window.after_ms.saturating_sub(lookback);
        }
        if selector.extension == Some(RangeExtension::Smoothed) {
            window.until_ms = window.until_ms.saturating_add(lookback);
        }
        let selection = Selection {
            matchers: selector.matchers.clone(),
            window,
        };
        let known = self.selections.iter().position(|other| *other == selection);
        let index = known.unwrap_or_else(|| {
            self.selections.push(selection);
            self.selections.len() - 1
        });
        Reading {
            selection: Some(index),
            ..reading
        }
    }
}

/// A subquery's steps are multiples of its step, whatever the outer ones are.
fn subquery_steps(window: Window, step_ms: i64) -> Steps {
    let start_ms = window
        .after_ms
        .div_euclid(step_ms)
        .saturating_add(1)
        .saturating_mul(step_ms);
    Steps {
        start_ms,
        end_ms: window.until_ms,
        step_ms,
    }
}

/// Functions whose value depends on the step though their arguments may not.
const STEP_FUNCTIONS: [&str; 12] = [
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "time",
    "timestamp",
    "year",
    "info",
];

/// Whether the value is the same at every step, so that one evaluation is enough.
fn is_step_invariant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Selector(selector) => selector.time.at.is_some(),
        ExprKind::Range(range) => range.selector.time.at.is_some(),
        ExprKind::Subquery(subquery) => subquery.time.at.is_some(),
        ExprKind::Call(call) if STEP_FUNCTIONS.contains(&call.function.name) => false,
        _ => expr.children().into_iter().all(is_step_invariant),
    }
}
