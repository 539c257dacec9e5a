//! Times, steps and limits as Loki's clients write them.

use model::TimeRange;
use model::time::{NANOS_PER_MILLI, NANOS_PER_SECOND, parse_duration, parse_instant};
use query::logql::Direction;

use crate::http::params::{BadParams, Params, invalid};

const HOUR: i64 = 3_600 * NANOS_PER_SECOND;

/// Lines of an answer unless the request says otherwise.
const DEFAULT_LIMIT: usize = 100;
/// The most lines of an answer. A request for more is an error: Grafana must not take a part for
/// the whole.
pub(super) const MAX_LIMIT: usize = 10_000;

/// The instant in the parameter `name`, Unix ns; `None` when absent.
///
/// Integers of up to ten digits and numbers with a fraction are seconds, longer ones ns.
pub(super) fn instant(params: &Params, name: &str) -> Result<Option<i64>, BadParams> {
    let Some(text) = params.get(name) else {
        return Ok(None);
    };
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if is_integer && digits.len() > 10 {
        // Past 64 bits, the last instant that can be stored: absurd times are no errors.
        Some(text.parse().unwrap_or(i64::MAX))
    } else if is_integer {
        text.parse::<i64>()
            .ok()
            .map(|seconds| seconds.saturating_mul(NANOS_PER_SECOND))
    } else if text.starts_with("now") {
        None
    } else {
        parse_instant(text, 0).ok()
    };
    parsed.map(Some).ok_or_else(|| {
        let expected = "expected Unix ns, Unix seconds or RFC 3339";
        invalid(name, format!("cannot read {text:?} as a time; {expected}"))
    })
}

/// `start` and `end`, or the last `default` ns before the end; `since` shortens `start`.
pub(super) fn range(params: &Params, default: i64, now: i64) -> Result<TimeRange, BadParams> {
    let end = instant(params, "end")?.unwrap_or(now);
    let since = match params.get("since") {
        Some(text) => parse_duration(text).map_err(|err| invalid("since", err))?,
        None => default,
    };
    let start = instant(params, "start")?.unwrap_or(end.saturating_sub(since));
    if end < start {
        return Err(invalid("end", "the end lies before the start"));
    }
    Ok(TimeRange::new(start, end))
}

/// The last hour, Loki's default for queries.
pub(super) fn query_range(params: &Params, now: i64) -> Result<TimeRange, BadParams> {
    range(params, HOUR, now)
}

/// The last six hours, Loki's default for look-ups.
pub(super) fn lookup_range(params: &Params, now: i64) -> Result<TimeRange, BadParams> {
    range(params, 6 * HOUR, now)
}

/// `step`, ns; without it so that the range has about 250 steps.
pub(super) fn step(params: &Params, range: TimeRange) -> Result<i64, BadParams> {
    let Some(text) = params.get("step") else {
        let length = range.end.saturating_sub(range.start);
        return Ok((length / 250 / NANOS_PER_SECOND).max(1) * NANOS_PER_SECOND);
    };
    let nanos = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => Some((seconds * NANOS_PER_SECOND as f64) as i64),
        Ok(_) => None,
        Err(_) => parse_duration(text).ok(),
    };
    nanos
        .filter(|nanos| *nanos >= NANOS_PER_MILLI)
        .ok_or_else(|| {
            invalid(
                "step",
                format!("expected a duration of at least 1ms such as 30s, got {text:?}"),
            )
        })
}

/// `limit`, bounded.
pub(super) fn limit(params: &Params) -> Result<usize, BadParams> {
    bounded(params, "limit", DEFAULT_LIMIT)
}

/// How many of something an answer may have, bounded.
pub(super) fn bounded(params: &Params, name: &str, default: usize) -> Result<usize, BadParams> {
    let limit = params.count(name)?.unwrap_or(default);
    if limit == 0 || limit > MAX_LIMIT {
        let message = format!("must be between 1 and {MAX_LIMIT}, got {limit}");
        return Err(invalid(name, message));
    }
    Ok(limit)
}

/// `direction`.
pub(super) fn direction(params: &Params) -> Result<Direction, BadParams> {
    match params
        .get("direction")
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        None | Some("backward") => Ok(Direction::Backward),
        Some("forward") => Ok(Direction::Forward),
        Some(other) => {
            let message = format!("expected backward or forward, got {other:?}");
            Err(invalid("direction", message))
        }
    }
}

/// Refuses parameters whose meaning would otherwise be lost silently.
pub(super) fn refuse_unsupported(params: &Params) -> Result<(), BadParams> {
    for name in ["interval", "delay_for"] {
        if params.get(name).is_some() {
            return Err(invalid(name, "not supported by this version; leave it out"));
        }
    }
    Ok(())
}
