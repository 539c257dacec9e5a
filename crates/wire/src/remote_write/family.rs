//! Which family a series belongs to: remote write 2.0 describes series, not families.

use model::MetricType;

/// Suffixes that the series of one family may differ by.
const SUFFIXES: [&str; 6] = ["_total", "_bucket", "_sum", "_count", "_created", "_info"];

/// The family of the series `name`, whose description says `kind`.
///
/// A histogram's classic series and a summary's sum and count carry suffixes that the family does
/// not; every other series is named as its family.
pub(super) fn of(name: &str, kind: MetricType) -> &str {
    let suffixes: &[&str] = match kind {
        MetricType::Histogram | MetricType::GaugeHistogram => &["_bucket", "_sum", "_count"],
        MetricType::Summary => &["_sum", "_count"],
        _ => &[],
    };
    let stripped = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    stripped.unwrap_or(name)
}

/// Families that a series of this name may belong to, the most likely first.
pub(super) fn candidates(name: &str) -> impl Iterator<Item = &str> {
    let stripped = SUFFIXES
        .iter()
        .filter_map(move |suffix| name.strip_suffix(suffix));
    std::iter::once(name).chain(stripped)
}
