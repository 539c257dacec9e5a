//! Scraped bodies: what is read of them, and where they are refused.

use model::{MetricType, SampleValue};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::exposition::{Exposition, ExpositionError, Format, Reading};

/// When every body of these tests was scraped, Unix ms.
const AT: i64 = 1_000;

/// Reads a body of at most so many samples.
fn read(format: Format, body: &[u8], max_samples: usize) -> Result<Exposition, ExpositionError> {
    let reading = Reading {
        at_ms: AT,
        max_samples,
        keeps_classic: false,
    };
    wire::exposition::read(format, body, reading)
}

/// A line per sample: the series, its value, and whatever else the body says of it.
fn shown(exposition: &Exposition) -> Vec<String> {
    let line = |exposed: &wire::exposition::ExposedSample| {
        let sample = &exposed.sample;
        let SampleValue::Float(value) = sample.value else {
            panic!("{:?} is no float", sample.value);
        };
        let mut line = format!("{} {value}", sample.labels);
        if exposed.timed {
            line.push_str(&format!(" at {}", sample.timestamp_ms));
        } else {
            assert_eq!(sample.timestamp_ms, AT);
        }
        if let Some(start) = sample.start_ms {
            line.push_str(&format!(" since {start}"));
        }
        for exemplar in &sample.exemplars {
            let (labels, value) = (&exemplar.labels, exemplar.value);
            line.push_str(&format!(
                " like {labels} {value} at {}",
                exemplar.timestamp_ms
            ));
        }
        line
    };
    let samples = exposition.samples.iter().map(line);
    let families = exposition.metadata.iter().map(|family| {
        format!(
            "# {} {} {:?} {:?}",
            family.family,
            family.kind.as_str(),
            family.unit,
            family.help
        )
    });
    samples.chain(families).collect()
}

/// A body and the lines that are read of it.
type Case<'a> = (&'a str, &'a [&'a str]);

fn check(format: Format, cases: &[Case<'_>]) {
    for (body, expected) in cases {
        let exposition =
            read(format, body.as_bytes(), 100).unwrap_or_else(|err| panic!("{body}: {err}"));
        assert_eq!(shown(&exposition), *expected, "{body}");
    }
}

#[test]
fn the_text_format_is_read() {
    check(
        Format::Text,
        &[
            ("", &[]),
            ("\n  \n# a remark\n#\n#HELPLESS x\n", &[]),
            ("up 1", &["up 1"]),
            ("up 1 -1500\n", &["up 1 at -1500"]),
            ("a:b_c9 +Inf\n", &["a:b_c9 inf"]),
            ("a 1e3\nb -.5\n", &["a 1000", "b -0.5"]),
            (
                "\t x { a = \"1\" , b=\"2\", }\t 5 \t 7 \n",
                &["x{a=\"1\", b=\"2\"} 5 at 7"],
            ),
            ("x{} 5\n", &["x 5"]),
            // An empty value is an absent label.
            ("x{a=\"\",b=\"c\"} 5\n", &["x{b=\"c\"} 5"]),
            (
                r#"x{a="\"\\\n",b="\d é{}=,#"} 5"#,
                &["x{a=\"\\\"\\\\\\n\", b=\"\\\\d é{}=,#\"} 5"],
            ),
            (
                "{\"my.metric\", \"a.b\"=\"c\"} 5\n",
                &["my.metric{a.b=\"c\"} 5"],
            ),
            ("{a=\"b\", \"my.metric\"} 5\n", &["my.metric{a=\"b\"} 5"]),
            (
                "# HELP x A \\\\ back\\nslash, a \"quote\" \\q.\n# TYPE x counter\nx 1\n",
                &[
                    "x 1",
                    "# x counter \"\" \"A \\\\ back\\nslash, a \\\"quote\\\" \\\\q.\"",
                ],
            ),
            (
                "# TYPE x untyped\n# HELP y\n# TYPE \"z.z\" gauge\n",
                &[
                    "# x unknown \"\" \"\"",
                    "# y unknown \"\" \"\"",
                    "# z.z gauge \"\" \"\"",
                ],
            ),
            // Bounds read the same in all formats, where they are bounds.
            (
                "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n# TYPE s summary\ns{quantile=\"1e0\"} 2\nx{le=\"1\"} 3\n",
                &[
                    "h_bucket{le=\"1.0\"} 1",
                    "s{quantile=\"1.0\"} 2",
                    "x{le=\"1\"} 3",
                    "# h histogram \"\" \"\"",
                    "# s summary \"\" \"\"",
                ],
            ),
            // The order of the lines is kept, and a series may come more than once.
            ("x 1 1\nx 2 2\n", &["x 1 at 1", "x 2 at 2"]),
        ],
    );
}

#[test]
fn open_metrics_is_read() {
    check(
        Format::OpenMetrics,
        &[
            ("# EOF", &[]),
            ("# EOF\n", &[]),
            (
                "up 1 1520879607.789\nup 2 -1\n# EOF\n",
                &["up 1 at 1520879607789", "up 2 at -1000"],
            ),
            (
                "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds Say \\\"a\\\".\n\
                 a_seconds_total{x=\"1\"} 5 # {trace_id=\"4b\"} 0.5 2.5\n\
                 a_seconds_created{x=\"1\"} 0.25\n\
                 a_seconds_total{x=\"2\"} 6 3 # {} 1\n# EOF\n",
                &[
                    "a_seconds_total{x=\"1\"} 5 since 250 like {trace_id=\"4b\"} 0.5 at 2500",
                    "a_seconds_total{x=\"2\"} 6 at 3000 like {} 1 at 3000",
                    "# a_seconds_total counter \"seconds\" \"Say \\\"a\\\".\"",
                ],
            ),
            (
                "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2 # {} 3\n\
                 h_count 2\nh_sum 4\nh_created 0.5\n# EOF\n",
                &[
                    "h_bucket{le=\"1.0\"} 1 since 500",
                    "h_bucket{le=\"+Inf\"} 2 since 500 like {} 3 at 1000",
                    "h_count 2 since 500",
                    "h_sum 4 since 500",
                    "# h histogram \"\" \"\"",
                ],
            ),
            (
                "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 2\ns_created 0.5\n# EOF\n",
                &[
                    "s{quantile=\"0.5\"} 1",
                    "s_count 2 since 500",
                    "# s summary \"\" \"\"",
                ],
            ),
            // Only where the type has a start is `_created` one.
            (
                "# TYPE g gauge\ng 1\ng_created 2\n# TYPE g_created gauge\ng_created 3\n# EOF\n",
                &[
                    "g 1",
                    "g_created 2",
                    "g_created 3",
                    "# g gauge \"\" \"\"",
                    "# g_created gauge \"\" \"\"",
                ],
            ),
            (
                "# TYPE i info\ni_info{v=\"1\"} 1\n# TYPE gh gaugehistogram\ngh_gcount 1\n\
                 # TYPE ss stateset\nss{ss=\"a\"} 0\n# TYPE u unknown\nu NaN\n# EOF\n",
                &[
                    "i_info{v=\"1\"} 1",
                    "gh_gcount 1",
                    "ss{ss=\"a\"} 0",
                    "u NaN",
                    "# i_info info \"\" \"\"",
                    "# gh gaugehistogram \"\" \"\"",
                    "# ss stateset \"\" \"\"",
                    "# u unknown \"\" \"\"",
                ],
            ),
            (
                "# TYPE \"a.b\" gauge\n{\"a.b\",\"c.d\"=\"e\"} 1\n# EOF\n",
                &["a.b{c.d=\"e\"} 1", "# a.b gauge \"\" \"\""],
            ),
        ],
    );
}

#[test]
fn an_error_says_where_and_what() {
    let text = [
        (
            "up\n",
            "line 1, column 3: expected a value, found the end of the line",
        ),
        (
            "up one\n",
            "line 1, column 4: expected a value, found \"one\"",
        ),
        (
            "a 1\nup 1 2.5\n",
            "line 2, column 6: expected a time in milliseconds or the end of the line, found \"2.5\"",
        ),
        (
            "up 1 2 3\n",
            "line 1, column 8: expected the end of the line, found '3'",
        ),
        (
            "9up 1\n",
            "line 1, column 1: expected a metric name, found '9'",
        ),
        (
            "é 1\n",
            "line 1, column 1: expected a metric name, found 'é'",
        ),
        (
            "x{é=\"1\"} 1\n",
            "line 1, column 3: expected a label name or \"}\", found 'é'",
        ),
        (
            "x{a=\"é\" b=\"c\"} 1\n",
            "line 1, column 9: expected \",\" or \"}\", found 'b'",
        ),
        (
            "x{a=1} 1\n",
            "line 1, column 5: expected a text in double quotes, found '1'",
        ),
        (
            "x{a=\"b\\\"\n} 1\n",
            "line 1, column 5: these quotes are not closed on the same line",
        ),
        (
            "x{a=\"b\",a=\"c\"} 1\n",
            "line 1, column 9: the label \"a\" is given twice",
        ),
        (
            "{a=\"b\"} 1\n",
            "line 1, column 1: no metric name, neither before the braces nor inside",
        ),
        (
            "x{\"y\"} 1\n",
            "line 1, column 6: expected \"=\", found '}'",
        ),
        (
            "{\"x\",\"y\"} 1\n",
            "line 1, column 9: expected \"=\", found '}'",
        ),
        (
            "{\"\"} 1\n",
            "line 1, column 2: a name in quotes must not be empty",
        ),
        (
            "{__name__=\"x\"} 1\n",
            "line 1, column 2: the metric's name is written without \"__name__=\"",
        ),
        (
            "x{a=\"b\"",
            "line 1, column 8: expected \",\" or \"}\", found the end of the text",
        ),
        (
            "# TYPE x info\n",
            "line 1, column 10: expected counter, gauge, histogram, summary or untyped, found \"info\"",
        ),
        (
            "# HELP\n",
            "line 1, column 7: expected a metric name, found the end of the line",
        ),
        (
            "a 1\nb 1\nc 1\nd 1\n",
            "line 4, column 1: more than 3 samples",
        ),
    ];
    let open_metrics = [
        (
            "up 1\n",
            "line 2, column 1: the text ends without \"# EOF\"; it may be cut short",
        ),
        ("# EOF\nup 1\n", "line 2, column 1: text after \"# EOF\""),
        (
            "#remark\n# EOF\n",
            "line 1, column 1: expected \"# HELP\", \"# TYPE\", \"# UNIT\" or \"# EOF\"",
        ),
        (
            "# remark\n# EOF\n",
            "line 1, column 3: expected HELP, TYPE, UNIT or EOF, found \"remark\"",
        ),
        (
            "\n# EOF\n",
            "line 1, column 1: expected a metric name, found the end of the line",
        ),
        (
            "up  1\n# EOF\n",
            "line 1, column 4: expected a value, found ' '",
        ),
        (
            "up 1 soon\n# EOF\n",
            "line 1, column 6: expected a time in seconds, found \"soon\"",
        ),
        (
            "up 1 NaN\n# EOF\n",
            "line 1, column 6: expected a time in seconds, found \"NaN\"",
        ),
        (
            "up 1",
            "line 1, column 5: expected the end of the line, found the end of the text",
        ),
        (
            "up 1 2 3\n# EOF\n",
            "line 1, column 8: expected \"# \" and an exemplar, found '3'",
        ),
        (
            "up 1 # x\n# EOF\n",
            "line 1, column 8: expected \"{\", found 'x'",
        ),
        (
            "up 1 # {a=\"b\"}\n# EOF\n",
            "line 1, column 15: expected one space and the exemplar's value, found the end of the line",
        ),
        (
            "# UNIT a_seconds bytes\n# EOF\n",
            "line 1, column 18: the name \"a_seconds\" does not end with its unit \"bytes\"",
        ),
        (
            "# TYPE a counter\na_total 1\na_created soon\n# EOF\n",
            "line 3, column 11: expected a value, found \"soon\"",
        ),
        (
            "# TYPE a untyped\n# EOF\n",
            "line 1, column 10: expected counter, gauge, histogram, gaugehistogram, stateset, info, summary or unknown, found \"untyped\"",
        ),
    ];
    let text = text.map(|case| (Format::Text, case));
    let open_metrics = open_metrics.map(|case| (Format::OpenMetrics, case));
    for (format, (body, expected)) in text.into_iter().chain(open_metrics) {
        let error = read(format, body.as_bytes(), 3).unwrap_err();
        assert_eq!(error.to_string(), expected, "{body}");
    }
    let error = read(Format::Text, b"up 1\nx{a=\"\xff\"} 1\n", 3).unwrap_err();
    assert_eq!(error.to_string(), "line 2, column 6: the text is not UTF-8");
}

#[test]
fn a_value_that_is_no_number_is_not_the_stale_marker() {
    for body in ["x NaN\n", "x nan\n", "x -NaN\n"] {
        let exposition = read(Format::Text, body.as_bytes(), 1).unwrap();
        let SampleValue::Float(value) = exposition.samples[0].sample.value else {
            panic!("no float");
        };
        assert_eq!(value.to_bits(), 0x7ff8_0000_0000_0001, "{body}");
    }
}

#[test]
fn a_label_that_is_said_to_be_empty_is_told() {
    let exposition = read(Format::Text, b"x{a=\"\",b=\"c\"} 5\n", 1).unwrap();
    assert_eq!(exposition.samples[0].emptied, ["a"]);
}

#[test]
fn the_content_type_names_the_format() {
    for (name, expected) in [
        (
            "text/plain; version=0.0.4; charset=utf-8",
            Some(Format::Text),
        ),
        ("Text/Plain", Some(Format::Text)),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
            Some(Format::OpenMetrics),
        ),
        (
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
            Some(Format::Protobuf),
        ),
        ("text/html", None),
        ("", None),
    ] {
        assert_eq!(Format::from_content_type(name), expected, "{name}");
    }
}

/// Text in quotes, as both formats write it.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(
        name in "\\PC{1,8}",
        labels in prop::collection::btree_map("[^\u{0}]{1,6}", "[^\u{0}]{1,6}", 0..4),
        bits in any::<u64>(),
        time in -1_000_000_000_000_i64..1_000_000_000_000,
        help in "(?s).{0,12}",
    ) {
        prop_assume!(!labels.contains_key("__name__"));
        let value = f64::from_bits(bits);
        let pairs: String = labels
            .iter()
            .map(|(name, value)| format!(",{}={}", quoted(name), quoted(value)))
            .collect();
        let series = format!("{{{}{pairs}}} {value:?}", quoted(&name));
        let help = help.replace('\r', "");
        let escaped = help.replace('\\', "\\\\").replace('\n', "\\n");
        // The text format ignores blanks before the text; OpenMetrics does not.
        let first = escaped.trim_start_matches([' ', '\t']);
        let help = help.trim_start_matches([' ', '\t']);
        let described = format!("# HELP {} {first}\n# TYPE {0} gauge\n", quoted(&name));
        for (format, body) in [
            (Format::Text, format!("{described}{series} {time}\n")),
            (Format::OpenMetrics, format!("{described}{series} {:?}\n# EOF\n", time as f64 / 1e3)),
        ] {
            let exposition = read(format, body.as_bytes(), 1).unwrap();
            let sample = &exposition.samples[0].sample;
            prop_assert_eq!(sample.labels.metric_name(), Some(name.as_str()));
            prop_assert_eq!(sample.labels.len(), labels.len() + 1);
            for (label, value) in &labels {
                prop_assert_eq!(sample.labels.get(label), Some(value.as_str()));
            }
            let SampleValue::Float(read) = sample.value else { panic!("no float") };
            prop_assert!(read == value || (read.is_nan() && value.is_nan()));
            prop_assert_eq!(sample.timestamp_ms, time);
            let family = &exposition.metadata[0];
            prop_assert_eq!((family.kind, family.help.as_str()), (MetricType::Gauge, help));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        lines in vec(
            prop_oneof![
                "\\PC{0,30}",
                "[a-z_]{1,3}(\\{[a-z]=\"[a-z\\\\\"]{0,3}\"?,?\\}?)? ?[0-9.eE+-]{0,4}( #? ?[{}0-9.]{0,4})?",
                "# (HELP|TYPE|UNIT|EOF) ?[a-z]{0,2} ?(counter|gauge)?",
            ],
            0..6,
        ),
        noise in vec(any::<u8>(), 0..4),
    ) {
        let mut body = lines.join("\n").into_bytes();
        body.extend(noise);
        drop(read(Format::Protobuf, &body, 4));
        for format in [Format::Text, Format::OpenMetrics] {
            if let Err(ExpositionError::Text { line, column, .. }) = read(format, &body, 4) {
                let text = String::from_utf8_lossy(&body).into_owned();
                let line = text.split('\n').nth(line - 1);
                prop_assert!(line.is_some_and(|line| column <= line.chars().count() + 1));
            }
        }
    }
}
