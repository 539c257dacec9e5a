//! Parsing what was printed gives the same tree.

use promql::parse;
use proptest::prelude::*;

fn duration() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("5m".to_owned()),
        Just("1h30m".to_owned()),
        Just("90".to_owned()),
        Just("step()".to_owned()),
        Just("range()".to_owned()),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), "[-+*/%^]", inner.clone()).prop_map(|(a, op, b)| format!("{a}{op}{b}")),
            inner.clone().prop_map(|d| format!("({d})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("max({a}, {b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("min_of({a}, {b})")),
        ]
    })
}

fn selector() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("foo"), Just("a:b"), Just("sum"), Just("{\"x.y\"}")];
    let matcher = prop_oneof![
        Just(""),
        Just("{a=\"b\"}"),
        Just("{\"c d\"!~'e|f', by=`\\`}"),
    ];
    let modifier = prop_oneof![
        Just(String::new()),
        Just(" @ 12.5".to_owned()),
        Just(" @ end()".to_owned()),
        Just(" smoothed".to_owned()),
        duration().prop_map(|d| format!(" offset -({d})")),
        Just(" offset 1w".to_owned()),
    ];
    (name, matcher, modifier).prop_map(|(name, matcher, modifier)| {
        let matcher = if name.starts_with('{') { "" } else { matcher };
        format!("{name}{matcher}{modifier}")
    })
}

/// A quoted text, with escapes that name characters and bytes that are none.
fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[ -!#-\\[\\]-~]".prop_map(String::from),
        Just("é".to_owned()),
        (0..=255_u8).prop_map(|byte| format!("\\x{byte:02x}")),
        (0..=255_u8).prop_map(|byte| format!("\\{byte:03o}")),
        Just("\\n".to_owned()),
        Just("\\\"".to_owned()),
        Just("\\u00e9\\U0001F600".to_owned()),
    ];
    proptest::collection::vec(part, 0..6).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn range() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("foo"), Just("{a=~\".+\"}")];
    (name, duration()).prop_map(|(name, duration)| format!("{name}[{duration}]"))
}

fn query() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        selector(),
        range().prop_map(|range| format!("rate({range})")),
        Just("vector(1e-9)".to_owned()),
    ];
    leaf.prop_recursive(5, 32, 3, |inner| {
        let op = prop_oneof![
            Just("+"),
            Just("- on (a) group_left (b)"),
            Just("== bool"),
            Just("and ignoring (x)"),
            Just("or"),
            Just("UNLESS"),
            Just("^"),
            Just("atan2"),
            Just("</"),
            Just("* fill (0)"),
            Just(">/"),
            Just("+ on (a) fill_left (-1) fill_right (2)"),
            Just("> bool on (a) group_right fill_left (NaN)"),
        ];
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|q| format!("({q})")),
            inner.clone().prop_map(|q| format!("-{q}")),
            inner
                .clone()
                .prop_map(|q| format!("sum without (a, \"b.c\") ({q})")),
            inner.clone().prop_map(|q| format!("topk(3, {q}) by (x)")),
            inner
                .clone()
                .prop_map(|q| format!("info({q}, {{data=~\".+\", \"u.v\"!=''}})")),
            inner
                .clone()
                .prop_map(|q| format!("histogram_quantiles({q}, 'q', 0.5, +Inf)")),
            (inner.clone(), string()).prop_map(|(q, text)| format!("count_values({text}, {q})")),
            inner
                .clone()
                .prop_map(|q| format!("max_over_time(({q})[1h:5m] offset 2m)")),
            (inner.clone(), ".{0,6}").prop_map(|(q, text)| {
                format!("label_replace({q}, \"a\", {text:?}, \"b\", \"\")")
            }),
        ]
    })
}

proptest! {
    #[test]
    fn printing_then_parsing_is_the_identity(query in query()) {
        // Texts with Rust's escapes or durations that divide by zero are no PromQL.
        if let Ok(expr) = parse(&query) {
            let printed = expr.to_string();
            let again = parse(&printed);
            prop_assert_eq!(again.as_ref(), Ok(&expr), "{} printed as {}", query, printed);
            prop_assert_eq!(again.map(|expr| expr.to_string()), Ok(printed));
            let lines = promql::pretty(&expr);
            prop_assert_eq!(parse(&lines), Ok(expr), "{} printed as {}", query, lines);
        }
    }

    #[test]
    fn any_string_prints_as_it_reads(text in string()) {
        let expr = parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let printed = expr.to_string();
        prop_assert_eq!(parse(&printed), Ok(expr), "{} printed as {}", text, printed);
    }

    #[test]
    fn any_text_parses_or_is_explained(text in ".{0,40}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.span.end <= text.len());
        }
    }

    #[test]
    fn any_run_of_tokens_parses_or_is_explained(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "foo", "sum", "by", "rate", "(", ")", "[", "]", "{", "}", ",", ":", "@", "5m",
                "1", "\"x\"", "=", "=~", "+", "-", "^", "and", "on", "offset", "bool", "end",
                "group_left", "fill", "smoothed", "min", "step", "min_of", "</", "info", "NaN",
                "fill_right", "'\\xff'",
            ]),
            0..16,
        )
    ) {
        let text = words.join(" ");
        if let Ok(expr) = parse(&text) {
            let printed = expr.to_string();
            prop_assert_eq!(parse(&printed), Ok(expr), "{} printed as {}", text, printed);
        }
    }
}
