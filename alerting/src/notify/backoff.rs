//! How long to wait before a delivery is tried again.

use model::Labels;

/// The first wait, ms.
const FIRST_MS: i64 = 1_000;
/// The longest wait, ms.
const LONGEST_MS: i64 = 300_000;

/// The wait after `attempts` failed attempts for the message `id`, ms: doubled each time up to
/// five minutes, less up to a quarter that differs per message and attempt, so that messages
/// which failed together do not come back together.
pub(crate) fn wait_ms(id: &str, attempts: u32) -> i64 {
    let doubled = FIRST_MS
        .checked_shl(attempts.saturating_sub(1).min(20))
        .unwrap_or(LONGEST_MS)
        .min(LONGEST_MS);
    let seed = Labels::new([("id", id), ("attempt", attempts.to_string().as_str())]).fingerprint();
    let spread = doubled / 4 + 1;
    doubled - (seed % spread.unsigned_abs()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_differ_between_messages() {
        for (attempts, most) in [
            (1, 1_000),
            (2, 2_000),
            (5, 16_000),
            (9, 256_000),
            (40, 300_000),
        ] {
            let wait = wait_ms("a", attempts);
            assert!(wait <= most && wait >= most * 3 / 4, "{attempts}: {wait}");
        }
        let waits: std::collections::BTreeSet<i64> =
            (0..20).map(|id| wait_ms(&id.to_string(), 5)).collect();
        assert!(waits.len() > 10);
    }
}
