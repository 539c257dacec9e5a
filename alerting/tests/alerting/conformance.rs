//! Other projects' test material, read from the folder that `WATCHKEEPER_CONFORMANCE` names.

use std::path::PathBuf;

/// The folder, or `None` with a line that says so.
pub(crate) fn folder(what: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("WATCHKEEPER_CONFORMANCE") else {
        eprintln!("skipped: {what} (WATCHKEEPER_CONFORMANCE is not set)");
        return None;
    };
    Some(PathBuf::from(folder))
}

/// Prints `passed/total` and holds the ratchet: never below `floor`.
pub(crate) fn report(what: &str, failures: &[String], total: usize, floor: usize) {
    for failure in failures {
        eprintln!("{what}: {failure}");
    }
    let passed = total - failures.len();
    eprintln!("{what}: {passed}/{total}");
    assert!(passed >= floor, "{what}: {passed} passed, {floor} used to");
}
