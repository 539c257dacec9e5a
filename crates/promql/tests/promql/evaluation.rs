//! What evaluation refuses, and that it never takes more than it may.

use futures::executor::block_on;
use model::histogram::{BucketSpan, ResetHint};
use model::{Labels, NativeHistogram, SampleValue};
use promql::memory::MemorySource;
use promql::{
    CancelFlag, ErrorKind, EvalError, EvalOptions, Limits, MAX_DEPTH, QueryResult, QueryValue,
    SeriesSource, Window, instant, parse, parse_selector, range,
};
use proptest::prelude::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().copied())
}

/// Ten series `m{i="0"}` to `m{i="9"}`, one sample a second for a minute each.
fn ten_series() -> MemorySource {
    let mut source = MemorySource::new();
    for i in 0..10 {
        for second in 0..60 {
            let labels = labels(&[("__name__", "m"), ("i", &i.to_string())]);
            source.insert_float(labels, second * 1_000, second as f64);
        }
    }
    source
}

fn at(query: &str, source: &MemorySource, options: &EvalOptions) -> Result<QueryResult, EvalError> {
    let expr = parse(query).expect("a valid query");
    block_on(instant(&expr, source, 59_000, options))
}

#[test]
fn equal_selections_are_fetched_once() {
    let source = ten_series();
    let result = at(
        "count(m{i=\"1\"}) + count(m{i=\"1\"} == 59)",
        &source,
        &EvalOptions::default(),
    );
    assert_eq!(result.unwrap().samples_read, 60);
}

#[test]
fn samples_count_at_every_step_that_sees_them() {
    let source = ten_series();
    for (query, seen) in [
        ("m{i=\"1\"}", 6),
        ("-m{i=\"1\"}", 6),
        // The first window begins before the first sample.
        ("sum_over_time(m{i=\"1\"}[10s])", 51),
        // Evaluated once, and the same at every step.
        ("sum(m @ 59)", 60),
        ("max_over_time(m{i=\"1\"}[20s:10s])", 6),
        ("1", 0),
    ] {
        let expr = parse(query).unwrap();
        let with = |counts_samples| {
            let options = EvalOptions {
                counts_samples,
                ..EvalOptions::default()
            };
            block_on(range(&expr, &source, 0, 50_000, 10_000, &options)).unwrap()
        };
        assert_eq!(with(true).samples_seen, seen, "{query}");
        assert_eq!(with(false).samples_seen, 0, "{query}");
    }
}

#[test]
fn errors_know_the_expression_at_fault() {
    let mut source = ten_series();
    for second in 0..60 {
        let value = SampleValue::Histogram(Box::default());
        source.insert(labels(&[("__name__", "h")]), second * 1_000, value);
    }
    let extended = "smoothed and anchored modifiers do not work with native histograms";
    let cases = [
        ("sum(rate(h[1m] smoothed))", extended, "h[1m] smoothed"),
        ("1 + sum(h smoothed)", extended, "h smoothed"),
        ("h[1m] anchored", extended, "h[1m] anchored"),
        (
            "count(deriv(m[1m] anchored))",
            "anchored modifier can only be used with: changes, delta, increase, rate, resets - not with deriv",
            "m[1m] anchored",
        ),
        ("m[5m - 5m]", "duration must be greater than 0", "5m - 5m"),
        ("m[1m / step()]", "division by zero", "step()"),
        ("m offset (1m % range())", "modulo by zero", "range()"),
    ];
    for (query, message, place) in cases {
        let error = at(query, &source, &EvalOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Execution, "{query}");
        assert_eq!(error.to_string(), message, "{query}");
        let span = error.span().unwrap();
        assert_eq!(&query[span.start..span.end], place, "{query}");
    }
}

#[test]
fn limits_are_told_apart() {
    let source = ten_series();
    let with = |limits: Limits| EvalOptions {
        limits,
        ..EvalOptions::default()
    };
    let none = Limits::default();

    let few_samples = with(Limits {
        max_samples: 599,
        ..none
    });
    let error = at("sum(m)", &source, &few_samples).unwrap_err();
    assert_eq!(error, EvalError::TooManySamples { limit: 599 });
    assert_eq!(error.kind(), ErrorKind::Limit);
    // The limit counts over all selections, and equal ones are read once.
    assert!(
        at(
            "m{i=\"1\"} + m{i=\"1\"}",
            &source,
            &with(Limits {
                max_samples: 60,
                ..none
            })
        )
        .is_ok()
    );
    let error = at(
        "m{i=\"1\"} + on () m{i=\"2\"}",
        &source,
        &with(Limits {
            max_samples: 60,
            ..none
        }),
    );
    assert_eq!(error.unwrap_err(), EvalError::TooManySamples { limit: 60 });

    let error = at(
        "m",
        &source,
        &with(Limits {
            max_series: 9,
            ..none
        }),
    )
    .unwrap_err();
    assert_eq!(error, EvalError::TooManySeries { limit: 9 });

    let query = parse("m").unwrap();
    let options = with(Limits {
        max_steps: 10,
        ..none
    });
    let error = block_on(range(&query, &source, 0, 10_000, 1_000, &options)).unwrap_err();
    assert_eq!(
        error,
        EvalError::TooManySteps {
            steps: 11,
            limit: 10
        }
    );

    // Columns count as well: 10 series at 100 steps are 1,000 samples.
    let options = with(Limits {
        max_samples: 999,
        ..none
    });
    let error = block_on(range(&query, &source, 0, 99_000, 1_000, &options)).unwrap_err();
    assert_eq!(error, EvalError::TooManySamples { limit: 999 });
    let constant = parse("sum_over_time(vector(1)[1h:1s])").unwrap();
    let error = block_on(instant(&constant, &source, 0, &options)).unwrap_err();
    assert_eq!(error, EvalError::TooManySamples { limit: 999 });
}

/// A gauge histogram with many buckets under each of so many names.
fn histograms(names: usize) -> MemorySource {
    let mut source = MemorySource::new();
    for name in 0..names {
        for second in 0..60 {
            let histogram = NativeHistogram {
                reset_hint: ResetHint::Gauge,
                count: 160.0,
                positive_spans: vec![BucketSpan {
                    offset: 0,
                    length: 160,
                }],
                positive_counts: vec![1.0; 160],
                ..NativeHistogram::default()
            };
            let labels = labels(&[("__name__", &format!("h{name}")), ("h", "x")]);
            let value = SampleValue::Histogram(Box::new(histogram));
            source.insert(labels, second * 1_000, value);
        }
    }
    source
}

#[test]
fn histograms_weigh_what_they_fill() {
    let source = histograms(1);
    let with = |max_samples| EvalOptions {
        limits: Limits {
            max_samples,
            ..Limits::default()
        },
        ..EvalOptions::default()
    };
    // Sixty histograms of 160 buckets of eight bytes each, and what is around them.
    let too_many = |max_samples| Err(EvalError::TooManySamples { limit: max_samples });
    let count = |max_samples| at("count(h0)", &source, &with(max_samples)).map(|_| ());
    assert_eq!(count(4_800), too_many(4_800));
    assert_eq!(count(6_000), Ok(()));
    // Computed ones as well.
    let doubled = parse("h0 * 2").unwrap();
    let doubled = |max_samples| {
        let options = with(max_samples);
        block_on(range(&doubled, &source, 0, 100_000, 1_000, &options)).map(|_| ())
    };
    assert_eq!(doubled(6_000), too_many(6_000));
    assert_eq!(doubled(12_000), Ok(()));
}

#[test]
fn an_answer_shows_ten_remarks_and_how_many_more_there_are() {
    let source = histograms(25);
    let query = "count(rate({h=\"x\"}[1m]))";
    let result = at(query, &source, &EvalOptions::default()).unwrap();
    let warnings = result.annotations.warnings(query);
    assert_eq!(warnings.len(), 11, "{warnings:?}");
    assert_eq!(warnings[10], "15 more warning annotations omitted");
    assert_eq!(
        warnings[0],
        "PromQL warning: this native histogram metric is not a counter: \"h0\" (1:12)"
    );
    assert_eq!(result.annotations.iter().count(), 25);
}

#[test]
fn threads_change_no_answer() {
    let mut source = MemorySource::new();
    for series in 0..100 {
        for second in 0..60 {
            let labels = labels(&[("__name__", "m_total"), ("i", &series.to_string())]);
            source.insert_float(labels, second * 1_000, f64::from(second as u32 * series));
        }
    }
    for query in [
        "rate(m_total[10s])",
        "sum by (i) (m_total)",
        "quantile_over_time(0.3, m_total[20s])",
        "count(m_total offset 2m) or sum(max_over_time(m_total[30s:2s]))",
    ] {
        let expr = parse(query).unwrap();
        let with = |threads| {
            let options = EvalOptions {
                threads,
                ..EvalOptions::default()
            };
            block_on(range(&expr, &source, 0, 500_000, 500, &options)).unwrap()
        };
        assert_eq!(with(1), with(4), "{query}");
    }
}

#[test]
fn a_raised_flag_stops_the_evaluation() {
    let cancel = CancelFlag::new();
    cancel.cancel();
    let options = EvalOptions {
        cancel,
        ..EvalOptions::default()
    };
    let error = at("m", &ten_series(), &options).unwrap_err();
    assert_eq!(
        (error.kind(), error),
        (ErrorKind::Unavailable, EvalError::Cancelled)
    );
}

#[test]
fn a_range_query_needs_steps_that_go_forward() {
    let source = MemorySource::new();
    let options = EvalOptions::default();
    let query = parse("m").unwrap();
    for (start, end, step) in [(0, 10, 0), (0, 10, -1), (10, 0, 1)] {
        let error = block_on(range(&query, &source, start, end, step, &options)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest);
    }
    for query in ["m[5m]", "\"text\""] {
        let query = parse(query).unwrap();
        let error = block_on(range(&query, &source, 0, 10, 1, &options)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest);
    }
}

#[test]
fn the_deepest_queries_fit_on_a_small_stack() {
    let n = MAX_DEPTH;
    let queries = [
        format!("m{}", " or m".repeat(n - 2)),
        format!("m{}", " + m".repeat(n - 2)),
        format!("{}m{}", "(".repeat(n - 2), ")".repeat(n - 2)),
        format!("{}m{}", "abs(".repeat(n - 2), ")".repeat(n - 2)),
        format!("{}m{}", "sum(".repeat(n - 2), ")".repeat(n - 2)),
        format!("{}m{}", "max_over_time(".repeat(60), "[1m:1m])".repeat(60)),
        format!("{}m", "-".repeat(n - 2)),
    ];
    let source = ten_series();
    // Half of what a tokio worker has.
    let run = move || {
        for query in queries {
            let result = at(&query, &source, &EvalOptions::default());
            assert!(result.is_ok(), "{}…: {result:?}", &query[..20]);
        }
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread.spawn(run).unwrap().join().unwrap();
}

#[test]
fn extreme_times_do_not_overflow() {
    let source = ten_series();
    for query in [
        "m",
        "m[1y]",
        "m offset 290y",
        "m offset -290y",
        "m @ 9e15",
        "rate(m[1y:1y] offset 290y)",
        "predict_linear(m[1m] @ 59, 1)",
        "rate(m[500ms])[10ms:1h]",
    ] {
        for time in [i64::MIN, i64::MIN + 1, 0, i64::MAX] {
            let query = parse(query).unwrap();
            let result = block_on(instant(&query, &source, time, &EvalOptions::default()));
            assert!(result.is_ok(), "{query} at {time}: {result:?}");
        }
        let query = parse("sum_over_time(vector(range() + time())[1m:1m])").unwrap();
        let options = EvalOptions::default();
        let whole = range(&query, &source, i64::MIN, i64::MAX, i64::MAX, &options);
        // Steps of the subquery fill the time between those of the query.
        assert_eq!(block_on(whole).unwrap_err().kind(), ErrorKind::Limit);
    }
}

#[test]
fn the_memory_source_answers_look_ups() {
    let source = ten_series();
    let selector = parse_selector("m{i=~\"[1-3]\"}").unwrap();
    let selectors = [selector];
    let window = Window::ALL;
    let series = block_on(source.series(&selectors, window, 2)).unwrap();
    assert_eq!(series.len(), 2);
    let values = block_on(source.label_values("i", &selectors, window, 2)).unwrap();
    assert_eq!(
        (values.names, values.truncated),
        (vec!["1".to_owned(), "2".to_owned()], true)
    );
    let names = block_on(source.label_names(&[], window, 10)).unwrap();
    assert_eq!(names.names, ["__name__", "i"]);
    let before = Window::new(i64::MIN, -1);
    assert!(block_on(source.series(&[], before, 10)).unwrap().is_empty());
}

fn scalar_of(query: &str, source: &MemorySource) -> f64 {
    let result = at(query, source, &EvalOptions::default());
    match result.expect("a value").value {
        QueryValue::Scalar { value, .. } => value,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn summing_groups_is_summing_all(
        values in proptest::collection::vec((0..3_u8, -1e6..1e6_f64), 1..20)
    ) {
        let mut source = MemorySource::new();
        for (index, (group, value)) in values.iter().enumerate() {
            let pairs = [
                ("__name__", "m".to_owned()),
                ("g", group.to_string()),
                ("i", index.to_string()),
            ];
            source.insert_float(Labels::new(pairs), 59_000, *value);
        }
        let all = scalar_of("scalar(sum(m))", &source);
        let grouped = scalar_of("scalar(sum(sum by (g) (m)))", &source);
        prop_assert!((all - grouped).abs() <= 1e-6, "{} {}", all, grouped);
        let mean = scalar_of("scalar(avg(m)) * scalar(count(m))", &source);
        prop_assert!((all - mean).abs() <= 1e-6, "{} {}", all, mean);
    }
}

#[test]
fn the_memory_source_does_what_every_source_must() {
    block_on(promql::source_suite::check(1_000_000, |samples| async {
        let mut source = MemorySource::new();
        for (labels, time, value) in samples {
            source.insert(labels, time, value);
        }
        source
    }));
}
