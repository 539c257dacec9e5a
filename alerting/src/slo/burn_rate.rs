//! Multi-window, multi-burn-rate alerting: which windows, and how fast is too fast.

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Wakes somebody.
    Page,
    /// Waits for working hours.
    Ticket,
}

impl Severity {
    /// `page` or `ticket`: the label `sloth_severity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// A condition: over both windows the budget burns at least `factor` times too fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowPair {
    /// How urgent it is.
    pub severity: Severity,
    /// The window that proves that enough budget is gone, ms.
    pub long_ms: i64,
    /// The window that ends the alert soon after the cause ended, ms.
    pub short_ms: i64,
    /// How many times faster than the budget allows.
    pub factor: f64,
}

/// When a budget burns too fast.
#[derive(Debug, Clone, PartialEq)]
pub struct BurnRate {
    /// The time the budget is for, ms.
    pub period_ms: i64,
    /// The conditions; any of one severity raises its alert.
    pub pairs: Vec<WindowPair>,
    /// Fewer bad events in the long window never alert; 0 is no such guard.
    pub min_bad_events: f64,
    /// The time between two evaluations, ms.
    pub interval_ms: i64,
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The budget's period when none is set, ms.
pub(super) const DEFAULT_PERIOD_MS: i64 = 30 * DAY;
/// The guard of low traffic when none is set.
pub(super) const DEFAULT_MIN_BAD_EVENTS: f64 = 10.0;

/// Severity, share of the budget, long and short window of the usual four conditions.
const USUAL: [(Severity, f64, i64, i64); 4] = [
    (Severity::Page, 0.02, HOUR, 5 * MINUTE),
    (Severity::Page, 0.05, 6 * HOUR, 30 * MINUTE),
    (Severity::Ticket, 0.10, DAY, 2 * HOUR),
    (Severity::Ticket, 0.10, 3 * DAY, 6 * HOUR),
];

/// The usual four conditions for a budget over `period_ms`: a factor is the share of the budget
/// times the period, divided by the long window.
pub(super) fn usual_pairs(period_ms: i64) -> Vec<WindowPair> {
    USUAL
        .into_iter()
        .map(|(severity, share, long_ms, short_ms)| WindowPair {
            severity,
            long_ms,
            short_ms,
            factor: super::tidy(share * period_ms as f64 / long_ms as f64),
        })
        .collect()
}

impl BurnRate {
    /// Every window, short and long, ascending, each once; ms.
    pub fn windows(&self) -> Vec<i64> {
        let mut windows: Vec<i64> = self
            .pairs
            .iter()
            .flat_map(|pair| [pair.short_ms, pair.long_ms])
            .collect();
        windows.sort_unstable();
        windows.dedup();
        windows
    }

    /// The shortest window, ms.
    pub fn shortest_ms(&self) -> i64 {
        self.windows().first().copied().unwrap_or(5 * MINUTE)
    }

    /// The longest window, ms.
    pub fn longest_ms(&self) -> i64 {
        self.windows().last().copied().unwrap_or(3 * DAY)
    }
}
