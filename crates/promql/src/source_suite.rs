//! What every [`SeriesSource`] must do: one suite, run by the tests of each implementation.

use std::future::Future;
use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::metric::{is_stale, stale_nan};
use model::{Labels, MatchOp, Matcher, NativeHistogram, SampleValue};

use crate::source::{SelectLimits, SeriesSource, SourceError, Window};
use crate::value::Series;

/// A sample of a series at a time in Unix ms.
pub type Sample = (Labels, i64, SampleValue);

/// Fills a source with `build` and checks its answers.
///
/// The samples are few, in order of time, within a minute after `base_ms`.
///
/// # Panics
///
/// When an answer is wrong: this is a test.
pub async fn check<S, B, F>(base_ms: i64, build: B)
where
    S: SeriesSource,
    B: FnOnce(Vec<Sample>) -> F,
    F: Future<Output = S>,
{
    let source = build(samples(base_ms)).await;
    selects_a_left_open_window(&source, base_ms).await;
    keeps_kinds_and_stale_markers(&source, base_ms).await;
    sorts_and_matches(&source, base_ms).await;
    refuses_past_its_limits(&source, base_ms).await;
    looks_up_names_and_values(&source, base_ms).await;
}

fn series(name: &str, job: &str) -> Labels {
    Labels::new([(METRIC_NAME, name), ("job", job)])
}

fn histogram() -> NativeHistogram {
    NativeHistogram {
        count: 2.0,
        sum: 3.0,
        ..NativeHistogram::default()
    }
}

fn samples(base_ms: i64) -> Vec<Sample> {
    let float = SampleValue::Float;
    let mut samples = Vec::new();
    for second in 0..4 {
        let time = base_ms + second * 1_000;
        samples.push((series("up", "b"), time, float(second as f64)));
        samples.push((series("up", "a"), time, float(-0.0)));
    }
    samples.push((series("up", "b"), base_ms + 4_000, float(stale_nan())));
    let mixed = series("mixed", "a");
    samples.push((mixed.clone(), base_ms, float(f64::NAN)));
    samples.push((
        mixed,
        base_ms + 1_000,
        SampleValue::Histogram(Box::new(histogram())),
    ));
    samples
}

async fn select(source: &impl SeriesSource, matchers: &[Matcher], window: Window) -> Vec<Series> {
    let selected = source.select(matchers, window, SelectLimits::NONE).await;
    selected.expect("the source answers")
}

fn named(name: &str) -> Matcher {
    Matcher::new(METRIC_NAME, MatchOp::Equal, name)
}

fn minute(base_ms: i64) -> Window {
    Window::new(base_ms - 1, base_ms + 60_000)
}

async fn selects_a_left_open_window(source: &impl SeriesSource, base_ms: i64) {
    let matchers = [named("up"), Matcher::new("job", MatchOp::Equal, "b")];
    let window = Window::new(base_ms, base_ms + 2_000);
    let selected = select(source, &matchers, window).await;
    assert_eq!(selected.len(), 1, "one series matches");
    let times = &selected[0].floats.timestamps_ms;
    assert_eq!(
        *times,
        [base_ms + 1_000, base_ms + 2_000],
        "the window is left-open"
    );
    assert_eq!(selected[0].floats.values, [1.0, 2.0]);
    let empty = select(source, &matchers, Window::new(base_ms, base_ms)).await;
    assert!(
        empty.is_empty(),
        "series without a sample in the window are left out"
    );
}

async fn keeps_kinds_and_stale_markers(source: &impl SeriesSource, base_ms: i64) {
    let selected = select(source, &[named("mixed")], minute(base_ms)).await;
    assert_eq!(selected.len(), 1, "one series matches");
    let mixed = &selected[0];
    assert!(mixed.floats.values[0].is_nan() && !is_stale(mixed.floats.values[0]));
    assert_eq!(mixed.histograms.timestamps_ms, [base_ms + 1_000]);
    assert_eq!(mixed.histograms.values, [Arc::new(histogram())]);

    let up = select(source, &[named("up")], minute(base_ms)).await;
    let zero = up[0].floats.values[0];
    assert!(
        zero == 0.0 && zero.is_sign_negative(),
        "the sign of zero is kept"
    );
    let last = up[1].floats.values.last();
    assert!(
        last.is_some_and(|value| is_stale(*value)),
        "stale markers are kept"
    );
}

async fn sorts_and_matches(source: &impl SeriesSource, base_ms: i64) {
    let labels = |selected: Vec<Series>| -> Vec<Labels> {
        selected.into_iter().map(|series| series.labels).collect()
    };
    let all = [series("mixed", "a"), series("up", "a"), series("up", "b")];
    let cases: [(MatchOp, &str, &str, &[Labels]); 6] = [
        (MatchOp::Regex, METRIC_NAME, ".+", &all),
        (MatchOp::Regex, METRIC_NAME, "u|p|up", &all[1..]),
        (MatchOp::NotEqual, "job", "a", &all[2..]),
        (MatchOp::NotRegex, "job", "[ac]", &all[2..]),
        (MatchOp::Equal, "absent", "", &all),
        (MatchOp::Regex, "absent", ".+", &[]),
    ];
    for (op, name, value, expected) in cases {
        let matcher = Matcher::new(name, op, value);
        let selected = select(source, std::slice::from_ref(&matcher), minute(base_ms)).await;
        assert_eq!(labels(selected), expected, "{matcher}");
    }
    let bad = Matcher::new("job", MatchOp::Regex, "(");
    let answer = source
        .select(&[bad], minute(base_ms), SelectLimits::NONE)
        .await;
    assert!(
        matches!(answer, Err(SourceError::InvalidRegex { .. })),
        "{answer:?}"
    );
}

async fn refuses_past_its_limits(source: &impl SeriesSource, base_ms: i64) {
    let ask = |max_series, max_samples| {
        let limits = SelectLimits {
            max_series,
            max_samples,
        };
        async move { source.select(&[named("up")], minute(base_ms), limits).await }
    };
    assert!(ask(2, 9).await.is_ok(), "limits are inclusive");
    let answer = ask(1, 9).await;
    assert_eq!(answer, Err(SourceError::TooManySeries { limit: 1 }));
    let answer = ask(2, 8).await;
    assert_eq!(answer, Err(SourceError::TooManySamples { limit: 8 }));
}

async fn looks_up_names_and_values(source: &impl SeriesSource, base_ms: i64) {
    const DONE: &str = "the source answers";
    let window = minute(base_ms);
    let up = [vec![named("up")]];
    let found = source.series(&up, window, 10).await.expect(DONE);
    assert_eq!(found, [series("up", "a"), series("up", "b")]);
    let either = [vec![named("up")], vec![named("mixed")]];
    assert_eq!(
        source.series(&either, window, 10).await.expect(DONE).len(),
        3
    );
    assert_eq!(source.series(&[], window, 2).await.expect(DONE).len(), 2);

    let names = source.label_names(&[], window, 10).await.expect(DONE);
    assert_eq!(
        (names.names, names.truncated),
        (vec![METRIC_NAME.to_owned(), "job".to_owned()], false)
    );
    let values = source
        .label_values("job", &up, window, 1)
        .await
        .expect(DONE);
    assert_eq!(
        (values.names, values.truncated),
        (vec!["a".to_owned()], true)
    );
    let none = source
        .label_values("absent", &[], window, 1)
        .await
        .expect(DONE);
    assert!(none.names.is_empty() && !none.truncated);
}
