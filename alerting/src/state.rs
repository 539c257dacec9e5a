//! The life of one alert: inactive, pending, firing, and back, as a pure function.
//!
//! An alert exists while its rule's expression yields its labels. What happens between two
//! evaluations, restarts included, changes nothing: only [`step`] moves an alert, and a rule
//! whose query failed does not call it.

use serde::{Deserialize, Serialize};

/// An active alert's state. An inactive alert has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum AlertState {
    /// The condition holds, not yet for as long as the rule's `for`.
    Pending {
        /// Since when the condition holds, Unix ms.
        active_at: i64,
    },
    /// Announced as a problem.
    Firing {
        /// Since when the condition holds, Unix ms.
        active_at: i64,
        /// Since when it fires, Unix ms.
        fired_at: i64,
        /// Since when the condition no longer holds, while `keep_firing_for` (or the time of
        /// grace after a restart) keeps it firing; Unix ms.
        keep_firing_since: Option<i64>,
    },
}

impl AlertState {
    /// Since when the condition holds, Unix ms.
    pub fn active_at(self) -> i64 {
        match self {
            Self::Pending { active_at } | Self::Firing { active_at, .. } => active_at,
        }
    }

    /// Whether it fires.
    pub fn is_firing(self) -> bool {
        matches!(self, Self::Firing { .. })
    }

    /// `pending` or `firing`: the word in `ALERTS` and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Firing { .. } => "firing",
        }
    }
}

/// A rule's durations, in ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// How long the condition must hold before the alert fires.
    pub for_ms: i64,
    /// How long the alert fires on after the condition ended.
    pub keep_firing_for_ms: i64,
}

/// What one evaluation says about one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// The expression yields the alert.
    Hit,
    /// The expression does not yield it.
    Miss,
    /// The expression does not yield it, but this soon after a restart that may only mean that
    /// samples of the time of downtime are missing. A firing alert fires on.
    MissInGrace,
}

/// What changed in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The condition began to hold.
    BecamePending,
    /// The alert began to fire.
    Fired,
    /// A firing alert ended.
    Resolved,
    /// A pending alert ended before it fired.
    Dropped,
    /// A rule's `for` grew beyond the alert's age: it waits again.
    BackToPending,
}

/// The state after an evaluation at `now` (Unix ms), and what changed.
pub fn step(
    state: Option<AlertState>,
    observation: Observation,
    now: i64,
    timing: Timing,
) -> (Option<AlertState>, Option<Event>) {
    match (state, observation) {
        (None, Observation::Hit) => begin(now, timing),
        (None, _) => (None, None),
        (Some(AlertState::Pending { active_at }), Observation::Hit) => {
            if now.saturating_sub(active_at) >= timing.for_ms {
                (Some(firing(active_at, now)), Some(Event::Fired))
            } else {
                (state, None)
            }
        }
        (Some(AlertState::Pending { .. }), _) => (None, Some(Event::Dropped)),
        (
            Some(AlertState::Firing {
                active_at,
                fired_at,
                ..
            }),
            Observation::Hit,
        ) => {
            if now.saturating_sub(active_at) < timing.for_ms {
                let waiting = AlertState::Pending { active_at };
                (Some(waiting), Some(Event::BackToPending))
            } else {
                (Some(firing(active_at, fired_at)), None)
            }
        }
        (
            Some(AlertState::Firing {
                active_at,
                fired_at,
                keep_firing_since,
            }),
            Observation::Miss | Observation::MissInGrace,
        ) => {
            let since = keep_firing_since.unwrap_or(now);
            let kept = observation == Observation::MissInGrace
                || now.saturating_sub(since) < timing.keep_firing_for_ms;
            if !kept {
                return (None, Some(Event::Resolved));
            }
            let state = AlertState::Firing {
                active_at,
                fired_at,
                keep_firing_since: Some(since),
            };
            (Some(state), None)
        }
    }
}

fn begin(now: i64, timing: Timing) -> (Option<AlertState>, Option<Event>) {
    if timing.for_ms <= 0 {
        return (Some(firing(now, now)), Some(Event::Fired));
    }
    let state = AlertState::Pending { active_at: now };
    (Some(state), Some(Event::BecamePending))
}

fn firing(active_at: i64, fired_at: i64) -> AlertState {
    AlertState::Firing {
        active_at,
        fired_at,
        keep_firing_since: None,
    }
}
