//! Bounds of buckets and quantiles, which must read the same whoever wrote them: `le="1"` of one
//! format is `le="1.0"` of another. As Prometheus does since version 3, all become what
//! OpenMetrics calls canonical.

use model::{Labels, MetricType};

/// The labels with a canonical bound, if series of this type have one.
pub(super) fn normalized(labels: Labels, kind: MetricType) -> Labels {
    let name = match kind {
        MetricType::Histogram | MetricType::GaugeHistogram => "le",
        MetricType::Summary => "quantile",
        _ => return labels,
    };
    let written = labels.get(name);
    let Some(bound) = written.and_then(|text| text.parse::<f64>().ok()) else {
        return labels;
    };
    let text = canonical(bound);
    match labels.get(name) == Some(text.as_str()) {
        true => labels,
        false => labels.with(name, &text),
    }
}

/// A number as Go prints it by `%g`, and with a fraction or an exponent in any case.
pub(super) fn canonical(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        let sign = if number > 0.0 { '+' } else { '-' };
        return format!("{sign}Inf");
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = number.to_string();
    match plain.contains('.') {
        true => plain,
        false => plain + ".0",
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn numbers_read_as_in_open_metrics() {
        for (number, expected) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (0.05, "0.05"),
            (100_000.0, "100000.0"),
            (123_456.7, "123456.7"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1e100, "1e+100"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(canonical(number), expected);
        }
    }
}
