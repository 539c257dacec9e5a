//! Generated queries over mixed data: nothing panics, and a range query is its instant queries.

use futures::executor::block_on;
use model::{Labels, SampleValue};
use promql::ast::ValueType;
use promql::functions::{self, Function};
use promql::memory::MemorySource;
use promql::series_notation::parse_series;
use promql::{EvalOptions, Limits, QueryResult, QueryValue, instant, parse, range};
use proptest::prelude::*;

const SERIES: &[&str] = &[
    "m_total{i=\"1\",g=\"a\"} 0+7x12 3+2x20",
    "m_total{i=\"2\",g=\"a\"} _x3 5 NaN Inf -Inf stale 1e308 1e308 -1e308 0x20",
    "m_total{i=\"3\",g=\"b\"} stale 1-1x10 _x4 -0 4x3",
    "mixed{i=\"1\",g=\"a\"} 1 {{count:3 sum:4 buckets:[1 2]}} 2 {{schema:-53 custom_values:[1]}} 3x9",
    "h{i=\"1\",g=\"a\"} {{schema:1 z_bucket:1 z_bucket_w:0.5 count:6 sum:9 buckets:[2 3]}}\
     +{{schema:1 z_bucket:1 z_bucket_w:0.5 count:2 sum:3 buckets:[1]}}x20",
    "h{i=\"2\",g=\"a\"} {{schema:0 z_bucket:2 z_bucket_w:0.001 count:9 sum:NaN offset:-2 \
     buckets:[2 0 3] n_offset:3 n_buckets:[1 1]}}x4 stale {{schema:3 count:1 sum:1 buckets:[1]}}x9",
    "h{i=\"3\",g=\"b\"} {{schema:-4 count:1e300 sum:-Inf buckets:[1e300]}}x3 \
     {{counter_reset_hint:gauge schema:2 sum:-1 n_buckets:[0 -1 Inf]}}x9",
    "nhcb{i=\"1\",g=\"b\"} {{schema:-53 count:6 sum:4 custom_values:[-1 0 5] buckets:[1 2 3]}}\
     +{{schema:-53 count:3 sum:4 custom_values:[0 5 9] buckets:[0 1 2]}}x12",
    "c_bucket{i=\"1\",le=\"1\"} 0+1x20",
    "c_bucket{i=\"1\",le=\"5\"} 0+3x20",
    "c_bucket{i=\"1\",le=\"+Inf\"} 0+2x20",
    "c_bucket{i=\"1\",le=\"nothing\"} 5x9",
    "target_info{i=\"1\",g=\"a\",version=\"7\"} 1x20",
    "target_info{i=\"2\",g=\"a\",version=\"8\"} 1x9 stale",
    "{\"näme\",i=\"1\"} 4x9",
];

const STEP_MS: i64 = 10_000;

fn source() -> MemorySource {
    let mut source = MemorySource::new();
    for text in SERIES {
        let (labels, values) = parse_series(text).expect("a series");
        for (index, value) in values.into_iter().enumerate() {
            let time = STEP_MS * i64::try_from(index).expect("a small number");
            if let Some(value) = value {
                source.insert(labels.clone(), time, value);
            }
        }
    }
    source
}

fn selector() -> impl Strategy<Value = String> {
    let series = proptest::sample::select(vec![
        "m_total",
        "mixed",
        "h",
        "h{g=\"a\"}",
        "nhcb",
        "c_bucket",
        "target_info",
        "{\"näme\"}",
        "{i=~\".+\"}",
        "nothing",
    ]);
    series.prop_map(str::to_owned)
}

fn modifier() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "",
        "",
        "",
        "",
        " offset 15s",
        " offset -25s",
        " @ 65",
        " @ start()",
        " @ end() offset 5s",
        " anchored",
        " smoothed",
    ])
}

fn number() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "0", "0.5", "-1", "1", "3", "1.5", "NaN", "Inf", "-Inf", "1e300", "time()", "step()",
    ])
    .prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "\"i\"",
        "\"g\"",
        "\"le\"",
        "\"__name__\"",
        "\"\"",
        "\"(.*)\"",
        "\"a$1\"",
        "\"(\"",
        "\"é\"",
    ])
    .prop_map(str::to_owned)
}

fn range_vector(vectors: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let duration = proptest::sample::select(vec!["10s", "25s", "1m", "step() * 2", "1ms", "5m"]);
    prop_oneof![
        4 => (selector(), duration.clone(), modifier())
            .prop_map(|(series, duration, modifier)| format!("{series}[{duration}]{modifier}")),
        1 => (vectors, duration).prop_map(|(vector, duration)| format!("({vector})[{duration}:7s]")),
    ]
    .boxed()
}

fn argument(of: ValueType, vectors: &BoxedStrategy<String>) -> BoxedStrategy<String> {
    match of {
        ValueType::Scalar => number().boxed(),
        ValueType::String => text().boxed(),
        ValueType::Vector => vectors.clone(),
        ValueType::Matrix => range_vector(vectors.clone()),
    }
}

fn call(function: &'static Function, vectors: &BoxedStrategy<String>) -> BoxedStrategy<String> {
    let most = function.max_args.min(function.args.len() + 2);
    let vectors = vectors.clone();
    (function.min_args..=most)
        .prop_flat_map(move |count| {
            let arguments: Vec<_> = (0..count)
                .filter_map(|index| function.arg_type(index))
                .map(|of| argument(of, &vectors))
                .collect();
            arguments.prop_map(|arguments| format!("{}({})", function.name, arguments.join(", ")))
        })
        .boxed()
}

fn query() -> impl Strategy<Value = String> {
    let leaf = (selector(), modifier())
        .prop_map(|(series, modifier)| format!("{series}{modifier}"))
        .boxed();
    leaf.prop_recursive(4, 16, 3, |inner| {
        let inner = inner.boxed();
        let operators = proptest::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "atan2",
            "==",
            "!=",
            "> bool",
            "<",
            "</",
            ">/",
            "and",
            "or",
            "unless",
            "+ on (i) group_left ()",
            "* on (g) group_right (i)",
            "- fill (1)",
            "+ on (i, g) fill_left (0)",
            "== ignoring (i)",
            "and on (g)",
        ]);
        let aggregations = proptest::sample::select(vec![
            "sum(",
            "avg by (g) (",
            "count without (i) (",
            "min(",
            "max by (i) (",
            "group(",
            "stddev(",
            "stdvar by (g) (",
            "topk(2, ",
            "bottomk by (g) (1, ",
            "quantile(0.3, ",
            "count_values(\"v\", ",
            "limitk(2, ",
            "limit_ratio(-0.5, ",
        ]);
        let functions = proptest::sample::select(functions::ALL.iter().collect::<Vec<_>>());
        prop_oneof![
            4 => {
                let inner = inner.clone();
                functions.prop_flat_map(move |function| call(function, &inner))
            },
            2 => (aggregations, inner.clone()).prop_map(|(open, query)| format!("{open}{query})")),
            2 => (inner.clone(), operators.clone(), inner.clone())
                .prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})")),
            1 => (inner.clone(), operators, number())
                .prop_map(|(left, operator, right)| format!("({left}) {operator} {right}")),
            1 => inner.prop_map(|query| format!("-({query})")),
        ]
    })
}

fn options() -> EvalOptions {
    let limits = Limits {
        max_samples: 200_000,
        ..Limits::default()
    };
    EvalOptions {
        limits,
        ..EvalOptions::default()
    }
}

/// What the answer says of one time, a line per label set.
fn lines_at(result: QueryResult, time: i64) -> Vec<String> {
    let line = |labels: &Labels, value: SampleValue| match value {
        SampleValue::Float(value) => format!("{labels:?} {value:?}"),
        SampleValue::Histogram(histogram) => format!("{labels:?} {histogram:?}"),
    };
    let mut lines: Vec<String> = match result.value {
        // A series without labels in a range query.
        QueryValue::Scalar { value, .. } => {
            vec![line(&Labels::default(), SampleValue::Float(value))]
        }
        QueryValue::String { value, .. } => vec![value],
        QueryValue::Vector(samples) => samples
            .into_iter()
            .map(|sample| line(&sample.labels, sample.value))
            .collect(),
        QueryValue::Matrix(series) => series
            .iter()
            .flat_map(|series| {
                let samples = series.samples().filter(|(at, _)| *at == time);
                samples.map(|(_, value)| line(&series.labels, value))
            })
            .collect(),
    };
    lines.sort();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_query_is_answered_or_explained(query in query(), time in any::<i64>()) {
        if let Ok(expr) = parse(&query) {
            let source = source();
            let options = options();
            for time in [time, 95_000] {
                if let Err(error) = block_on(instant(&expr, &source, time, &options)) {
                    prop_assert!(!error.to_string().is_empty());
                }
            }
        }
    }

    #[test]
    fn a_range_query_is_its_instant_queries(query in query()) {
        // Values of the whole query, not of its time.
        let own = ["@ start()", "@ end()", "start(", "end(", "range(", "step("];
        // Instant queries order what these give; sums and ties depend on the order.
        let ordering = ["topk(", "bottomk(", "sort"];
        let inner = query.get(1..).unwrap_or_default();
        if own.iter().any(|own| query.contains(own)) || ordering.iter().any(|op| inner.contains(op))
        {
            return Ok(());
        }
        if let Ok(expr) = parse(&query) {
            let source = source();
            let options = options();
            let (start, end, step) = (35_000, 140_000, 35_000);
            let Ok(whole) = block_on(range(&expr, &source, start, end, step, &options)) else {
                return Ok(());
            };
            for time in [start, start + step, start + 2 * step, end] {
                let alone = block_on(instant(&expr, &source, time, &options));
                let alone = alone.map_err(|error| TestCaseError::fail(format!("{query}: {error}")))?;
                prop_assert_eq!(
                    lines_at(whole.clone(), time),
                    lines_at(alone, time),
                    "{} at {}", query, time
                );
            }
        }
    }
}
