//! What an SLO measures, as PromQL for any window.

use model::time;
use promql::ast::ExprKind;
use promql::{Expr, ParseError};

use crate::template::{Context, Template, TemplateError, Value};

/// What an SLO measures. Queries are templates in which `{{.window}}` is the window.
#[derive(Debug, Clone, PartialEq)]
pub enum Indicator {
    /// Bad events among all events.
    Events {
        /// The rate of bad events.
        errors: Template,
        /// The rate of all events.
        total: Template,
    },
    /// A ratio that is computed already.
    Raw {
        /// The ratio of bad events, 0 to 1.
        ratio: Template,
    },
    /// Events slower than a threshold, from a classic histogram.
    Latency {
        /// The histogram's name without `_bucket`.
        histogram: String,
        /// A bucket's border, in the histogram's unit.
        threshold: f64,
        /// Matchers without braces; may be empty.
        filter: String,
    },
    /// Time slices in which a replica lagged behind.
    ReplicaLag {
        /// The gauge that says how far, in seconds.
        metric: String,
        /// The most that is good, seconds.
        threshold: f64,
        /// Matchers without braces; may be empty.
        filter: String,
        /// Labels that tell replicas apart.
        by: Vec<String>,
        /// A slice's length, ms.
        slice_ms: i64,
    },
}

/// `5m` for a window in ms.
pub(super) fn window_text(window_ms: i64) -> String {
    time::format_duration(window_ms.saturating_mul(time::NANOS_PER_MILLI))
}

/// A template of a query with its window filled in.
pub(super) fn fill(template: &Template, window_ms: i64) -> Result<String, TemplateError> {
    let data = Value::Map([("window".to_owned(), Value::Text(window_text(window_ms)))].into());
    let context = Context {
        now: 0,
        external_url: "",
        html: false,
        missing_key_is_error: true,
        answers: &std::collections::BTreeMap::new(),
    };
    let text = template.execute(&data, &[], &context)?;
    Ok(text.trim().to_owned())
}

impl Indicator {
    /// The ratio of bad events over `window_ms`; no sample without traffic.
    ///
    /// # Errors
    ///
    /// A query template that fails.
    pub(super) fn ratio(&self, window_ms: i64, id: &str) -> Result<String, TemplateError> {
        let window = window_text(window_ms);
        Ok(match self {
            Self::Events { errors, total } => {
                let (errors, total) = (fill(errors, window_ms)?, fill(total, window_ms)?);
                // Series of errors that never happened do not exist: they count as 0.
                format!("(({errors}) or 0 * ({total})) / (({total}) > 0)")
            }
            Self::Raw { ratio } => fill(ratio, window_ms)?,
            Self::Latency { .. } => {
                let (good, all) = self.latency_parts("rate", &window);
                format!("1 - {good} / ({all} > 0)")
            }
            Self::ReplicaLag { .. } => {
                format!("1 - avg_over_time(slo:slice_good:bool{{sloth_id=\"{id}\"}}[{window}])")
            }
        })
    }

    /// Rates of bad and of all events over `window_ms`; `None` for indicators without events.
    ///
    /// # Errors
    ///
    /// As [`Indicator::ratio`].
    pub(super) fn rates(&self, window_ms: i64) -> Result<Option<(String, String)>, TemplateError> {
        Ok(match self {
            Self::Events { errors, total } => {
                let (errors, total) = (fill(errors, window_ms)?, fill(total, window_ms)?);
                Some((format!("({errors}) or 0 * ({total})"), total))
            }
            Self::Latency { .. } => {
                let (good, all) = self.latency_parts("rate", &window_text(window_ms));
                Some((format!("{all} - {good}"), all))
            }
            Self::Raw { .. } | Self::ReplicaLag { .. } => None,
        })
    }

    /// How many bad events there were in `window_ms`; `None` when that cannot be told: without
    /// events, or when the query of errors has neither `rate` nor `increase`.
    ///
    /// # Errors
    ///
    /// As [`Indicator::ratio`].
    pub(super) fn bad_events(&self, window_ms: i64) -> Result<Option<String>, TemplateError> {
        Ok(match self {
            Self::Events { errors, .. } => {
                increase_of(&fill(errors, window_ms)?).unwrap_or_default()
            }
            Self::Latency { .. } => {
                let (good, all) = self.latency_parts("increase", &window_text(window_ms));
                Some(format!("{all} - {good}"))
            }
            Self::Raw { .. } | Self::ReplicaLag { .. } => None,
        })
    }

    /// Good and all events of a latency indicator, by `rate` or `increase`.
    fn latency_parts(&self, function: &str, window: &str) -> (String, String) {
        let Self::Latency {
            histogram, filter, ..
        } = self
        else {
            return (String::new(), String::new());
        };
        let bucket = self.bucket_selector();
        (
            format!("sum({function}({bucket}[{window}]))"),
            format!("sum({function}({histogram}_count{{{filter}}}[{window}]))"),
        )
    }

    /// The selector of the bucket that holds the good events.
    pub(super) fn bucket_selector(&self) -> String {
        let Self::Latency {
            histogram,
            threshold,
            filter,
        } = self
        else {
            return String::new();
        };
        // Senders write whole borders as "1" or as "1.0".
        let border = if threshold.fract() == 0.0 {
            format!("le=~\"{threshold}|{threshold}\\\\.0\"")
        } else {
            format!("le=\"{threshold}\"")
        };
        let comma = if filter.is_empty() { "" } else { "," };
        format!("{histogram}_bucket{{{filter}{comma}{border}}}")
    }

    /// The rule that says of each slice whether it was good; `None` for other indicators.
    ///
    /// A replica seen in the last `memory_ms` whose lag is not reported counts as bad.
    pub(super) fn slice_rule(&self, memory_ms: i64, id: &str) -> Option<String> {
        let Self::ReplicaLag {
            metric,
            threshold,
            filter,
            by,
            slice_ms,
        } = self
        else {
            return None;
        };
        let by = match by.is_empty() {
            true => String::new(),
            false => format!(" by ({})", by.join(", ")),
        };
        let (slice, memory) = (window_text(*slice_ms), window_text(memory_ms));
        Some(format!(
            "(max{by} (max_over_time({metric}{{{filter}}}[{slice}])) <= bool {threshold}) \
             or 0 * max{by} (max_over_time(slo:slice_good:bool{{sloth_id=\"{id}\"}}[{memory}]))"
        ))
    }
}

/// `query` with every `rate` turned into `increase`, so that it counts; `None` when it has
/// neither.
fn increase_of(query: &str) -> Result<Option<String>, ParseError> {
    let parsed = promql::parse(query)?;
    let mut rates = Vec::new();
    let mut counts = false;
    let mut pending: Vec<&Expr> = vec![&parsed];
    while let Some(expr) = pending.pop() {
        if let ExprKind::Call(call) = &expr.kind {
            counts |= matches!(call.function.name, "rate" | "increase");
            if call.function.name == "rate" {
                rates.push(expr.span.start);
            }
        }
        pending.extend(expr.children());
    }
    if !counts {
        return Ok(None);
    }
    let mut out = query.to_owned();
    rates.sort_unstable();
    for start in rates.into_iter().rev() {
        out.replace_range(start..start + "rate".len(), "increase");
    }
    Ok(Some(out))
}
