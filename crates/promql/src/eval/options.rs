//! What a caller decides about an evaluation: limits, lookback, cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much one query may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most samples held at once: loaded from the source or computed for all steps of a node. A
    /// sample is 16 bytes; a histogram weighs as many samples as it fills.
    pub max_samples: usize,
    /// Most series that all selectors of a query load.
    pub max_series: usize,
    /// Most steps of a range query; subqueries are bounded by their samples.
    pub max_steps: usize,
}

impl Default for Limits {
    /// Prometheus' 50 million samples and 11,000 steps; a million series.
    fn default() -> Self {
        Self {
            max_samples: 50_000_000,
            max_series: 1_000_000,
            max_steps: 11_000,
        }
    }
}

/// Stops an evaluation from another thread; clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes every evaluation that holds the flag answer [`crate::EvalError::Cancelled`] soon.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelFlag::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a caller decides about an evaluation.
#[derive(Debug, Clone)]
pub struct EvalOptions {
    /// How long a sample counts after its time, in ms: an instant selector at `t` sees
    /// `(t - lookback, t]`. Prometheus' default is five minutes.
    pub lookback_ms: i64,
    /// The step of subqueries that name none, in ms: the global evaluation interval.
    pub default_step_ms: i64,
    /// How much the query may use.
    pub limits: Limits,
    /// On how many threads large computations are spread, the caller's included.
    pub threads: usize,
    /// Raised by the caller to stop the computation; fetching is stopped by dropping the future.
    pub cancel: CancelFlag,
    /// Whether [`crate::QueryResult::samples_seen`] is counted, which takes a second look at
    /// every window.
    pub counts_samples: bool,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self {
            lookback_ms: 5 * 60 * 1_000,
            default_step_ms: 60 * 1_000,
            limits: Limits::default(),
            threads: 1,
            cancel: CancelFlag::new(),
            counts_samples: false,
        }
    }
}
