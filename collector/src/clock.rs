//! The server's only reading of the wall clock; everything below gets the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, Unix ns. A clock set before 1970 reads as 0.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

/// Now, Unix ms.
pub(crate) fn now_ms() -> i64 {
    now() / model::time::NANOS_PER_MILLI
}
