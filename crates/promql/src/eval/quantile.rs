//! Quantiles of numbers.

/// The `q`-quantile of `values`, interpolated between neighbours; NaN sorts below all numbers.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let ascending = |a: &f64, b: &f64| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(b),
        (a_nan, b_nan) => b_nan.cmp(&a_nan),
    };
    let rank = q * (values.len() - 1) as f64;
    let weight = rank - rank.floor();
    let (_, lower, above) = values.select_nth_unstable_by(rank.floor() as usize, ascending);
    let upper = above.iter().copied().min_by(ascending).unwrap_or(*lower);
    *lower * (1.0 - weight) + upper * weight
}

/// What is said about a quantile outside of 0 to 1.
pub(super) fn invalid_quantile(q: f64) -> Option<String> {
    (q.is_nan() || !(0.0..=1.0).contains(&q)).then(|| {
        format!(
            "quantile value should be between 0 and 1, got {}",
            go_float(q)
        )
    })
}

/// A number as Go prints it with `%g` in messages: `0.5`, `1e+06`, `NaN`, `+Inf`.
pub(super) fn go_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let exponent = if value == 0.0 {
        0
    } else {
        value.abs().log10().floor() as i32
    };
    if !(-4..21).contains(&exponent) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{value}")
}
