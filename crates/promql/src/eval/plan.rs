//! Deciding what to read before anything is read: the windows of every selector.
//!
//! A plan mirrors the tree. Each node knows the instants it is evaluated at, which inside of a
//! subquery are others than the query's, and which window of samples each of these instants sees.
//! Each distinct selection is fetched once.

use model::Matcher;

use super::duration;
use super::error::EvalError;
use super::info;
use super::options::EvalOptions;
use super::steps::Steps;
use crate::ast::{
    AggregateOp, At, BinaryOp, Expr, ExprKind, RangeExtension, Selector, TimeModifiers,
};
use crate::source::Window;

/// A node of the tree with the instants it is evaluated at.
#[derive(Debug)]
pub(super) struct Node<'e> {
    pub(super) expr: &'e Expr,
    /// When it is evaluated; the parent's steps, or one of them when `repeat` is set.
    pub(super) steps: Steps,
    /// How often the value at the one step is repeated, for what does not depend on the step.
    pub(super) repeat: Option<usize>,
    /// Which samples each step sees, for selectors and subqueries, and of info series for `info`.
    pub(super) reading: Option<Reading>,
    /// Whether resets between fetched histograms are to be told before they are added up.
    pub(super) finds_resets: bool,
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
        self.node_below(expr, steps, Above::default())
    }

    fn node_below<'e>(
        &mut self,
        expr: &'e Expr,
        steps: Steps,
        above: Above,
    ) -> Result<Node<'e>, EvalError> {
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
            finds_resets: above.finds_resets(),
            inner_steps: None,
            children: Vec::new(),
        };
        let above = above.with(expr);
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
                node.children
                    .push(self.node_below(&subquery.expr, inner, above)?);
            }
            ExprKind::Call(call) if call.function.name == "info" => {
                // The second argument only says which info series are read.
                for vector in call.args.iter().take(1) {
                    node.children.push(self.node_below(vector, steps, above)?);
                }
                let now = TimeModifiers::default();
                let reading = self.reading(&now, self.options.lookback_ms)?;
                let window = reading.over(steps);
                node.reading = Some(self.fetch(info::matchers(call), window, reading));
            }
            _ => {
                for child in expr.children() {
                    node.children.push(self.node_below(child, steps, above)?);
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
        self.fetch(selector.matchers.clone(), window, reading)
    }

    fn fetch(&mut self, matchers: Vec<Matcher>, window: Window, reading: Reading) -> Reading {
        let selection = Selection { matchers, window };
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

/// What the nodes above one do with its histograms.
///
/// Whether a counter was reset between two samples is looked for where resets matter, in `rate`
/// and its kin. Adding histograms up passes over them; when only counts and sums are then read,
/// as in `histogram_count(sum(h))`, conflicting resets are worth a warning.
#[derive(Debug, Clone, Copy, Default)]
struct Above {
    reads_counts: bool,
    reads_buckets: bool,
    adds_up: bool,
}

impl Above {
    fn finds_resets(self) -> bool {
        self.reads_counts && !self.reads_buckets && self.adds_up
    }

    /// The same for the operands of `expr`.
    fn with(mut self, expr: &Expr) -> Self {
        match &expr.kind {
            // Steps of a subquery are not the samples, between which resets are.
            ExprKind::Subquery(_) => self.reads_buckets = true,
            ExprKind::Aggregate(aggregate) => {
                self.adds_up |= matches!(aggregate.op, AggregateOp::Sum | AggregateOp::Avg);
            }
            ExprKind::Binary(binary) => {
                self.adds_up |= matches!(binary.op, BinaryOp::Add | BinaryOp::Sub);
            }
            ExprKind::Call(call) => {
                let name = call.function.name;
                self.adds_up = matches!(name, "sum_over_time" | "avg_over_time");
                self.reads_counts |=
                    matches!(name, "histogram_count" | "histogram_sum" | "histogram_avg");
                self.reads_buckets |= matches!(
                    name,
                    "histogram_quantile" | "histogram_quantiles" | "histogram_fraction"
                );
            }
            _ => {}
        }
        self
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
