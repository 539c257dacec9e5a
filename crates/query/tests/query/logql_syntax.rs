//! What LogQL we read, how it prints, and where it says no.

use proptest::prelude::*;
use query::Span;
use query::logql::{parse, parse_selector};

#[test]
fn queries_read_and_print() {
    // Left: as written; right: as it prints. What prints must read as the same again.
    let cases = [
        ("{}", "{}"),
        (
            r#"{a="b",c!="d", e=~"f.*" , g!~`h\d`, }"#,
            r#"{a="b", c!="d", e=~"f.*", g!~"h\\d"}"#,
        ),
        (
            "{a=\"b\"} |= `x` != \"y\" |~ \"z+\" !~ `w`",
            r#"{a="b"} |= "x" != "y" |~ "z+" !~ "w""#,
        ),
        ("{} |= `a` or `b` or \"c\"", r#"{} |= "a" or "b" or "c""#),
        (
            r#"{} | json | logfmt != "x" | drop a, b="c", d=~"e" | keep f"#,
            r#"{} | json | logfmt != "x" | drop a, b="c", d=~"e" | keep f"#,
        ),
        (
            r#"{} | a="b" and c>=5, d<1h30m or (e=10KB and f=~"g")"#,
            r#"{} | (a="b" and (c >= 5 and (d < 1h30m or (e == 10000B and f=~"g"))))"#,
        ),
        (
            r#"{} | json="x" | status=200"#,
            r#"{} | json="x" | status == 200"#,
        ),
        ("rate({}[5m])", "rate({} [5m])"),
        ("rate({}[5m] |= `x`)", "rate({} |= \"x\" [5m])"),
        (
            "rate(({} |= `x`)[1h] offset -5m)",
            "rate({} |= \"x\" [1h] offset -5m)",
        ),
        (
            "count_over_time({} | drop __error__[1m0s])",
            "count_over_time({} | drop __error__ [1m])",
        ),
        (
            "sum(rate({}[1m])) by (a,b)",
            "sum by (a, b) (rate({} [1m]))",
        ),
        (
            "topk(3, sum without () (rate({}[1m])))",
            "topk(3, sum without () (rate({} [1m])))",
        ),
        (
            "quantile_over_time(0.99, {} | unwrap duration(took) [5m]) by (svc)",
            "quantile_over_time(0.99, {} | unwrap duration(took) [5m]) by (svc)",
        ),
        ("vector(1)+vector(1)", "vector(1) + vector(1)"),
        (
            "1 + 2 * 3 ^ 2 ^ 1 > bool -4",
            "(1 + (2 * (3 ^ (2 ^ 1)))) > bool -4",
        ),
        (
            "rate({}[1m]) / on (a) rate({}[1m]) or vector(0)",
            "(rate({} [1m]) / on (a) rate({} [1m])) or vector(0)",
        ),
        ("# note\n{} # more\n|= `x`", "{} |= \"x\""),
        (
            "{} |> `a <_>` or `b` !> \"c\" |= ip(\"::1\") or `x`",
            r#"{} |> "a <_>" or "b" !> "c" |= ip("::1") or "x""#,
        ),
        (
            r#"{} | json a, b="c[0].d" | logfmt --keep-empty --strict x="y" | logfmt --strict"#,
            r#"{} | json a="a", b="c[0].d" | logfmt --strict --keep-empty x="y" | logfmt --strict"#,
        ),
        (
            r#"{} | regexp `(?P<a>x)` | pattern "<a> <_>" | unpack | decolorize != "x""#,
            r#"{} | regexp "(?P<a>x)" | pattern "<a> <_>" | unpack | decolorize != "x""#,
        ),
        (
            r#"{} | line_format `{{.a}}` | label_format a=b, c="{{ .d | ToUpper }}""#,
            r#"{} | line_format "{{.a}}" | label_format a=b, c="{{ .d | ToUpper }}""#,
        ),
        (
            r#"{} | a = ip("10.0.0.0/8") or b!=ip("1.1.1.1-1.1.1.9") and c="d" e="f""#,
            r#"{} | (a=ip("10.0.0.0/8") or (b!=ip("1.1.1.1-1.1.1.9") and (c="d" and e="f")))"#,
        ),
        ("{} | a > -5 | b >= +1", "{} | a > -5 | b >= 1"),
        (
            "rate(({}[5m] offset 1h) | json)",
            "rate({} | json [5m] offset 1h)",
        ),
        (
            "sum_over_time({} | unwrap duration_seconds(a) | __error__=`` [1w])",
            r#"sum_over_time({} | unwrap duration(a) | __error__="" [7d])"#,
        ),
        (
            "stddev(stdvar_over_time({} | unwrap bytes(a) [1h30m]) without (b))",
            "stddev(stdvar_over_time({} | unwrap bytes(a) [1h30m]) without (b))",
        ),
        (
            "sort_desc(approx_topk(2, rate_counter({} | unwrap a [1m])))",
            "sort_desc(approx_topk(2, rate_counter({} | unwrap a [1m])))",
        ),
        (
            "rate({}[1m]) * on (a, b) group_left (c) rate({}[1m])",
            "rate({} [1m]) * on (a, b) group_left (c) rate({} [1m])",
        ),
        (
            "rate({}[1m]) > bool ignoring (a) group_right rate({}[1m])",
            "rate({} [1m]) > bool ignoring (a) group_right () rate({} [1m])",
        ),
        (
            r#"label_replace(rate({}[1m]), "a", "$1", "b", "(.*)")"#,
            r#"label_replace(rate({} [1m]), "a", "$1", "b", "(.*)")"#,
        ),
        (
            "absent_over_time({} | unwrap a [1m])",
            "absent_over_time({} | unwrap a [1m])",
        ),
    ];
    for (text, printed) in cases {
        let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(expr.to_string(), printed, "{text}");
        let again = parse(printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
        assert_eq!(again.to_string(), printed);
    }
}

#[test]
fn what_is_not_understood_is_an_error_at_its_place() {
    let cases = [
        ("«»", "expected a query"),
        ("{a«»", "expected =, !=, =~ or !~"),
        ("{a=«b»}", "expected a text in quotes"),
        ("{a=~«\"(\"»}", "invalid regular expression"),
        ("{} |~ «`[`»", "invalid regular expression"),
        (
            "{} | line_format «`{{ nope }}`»",
            "function \"nope\" not defined",
        ),
        ("{} | label_format a=«\"{{\"»", "unclosed action"),
        ("{} | label_format a=b, «a»=c", "set twice"),
        ("{} | label_format «__error__»=c", "cannot be formatted"),
        ("{} |> «`<a>`»", "names no captures"),
        ("{} |> «`<_><_>`»", "side by side"),
        ("{} | pattern «\"x\"»", "at least one named capture"),
        ("{} | regexp «\"x\"»", "needs a named group"),
        ("{} | json a=«\"b..c\"»", "no path"),
        ("{} | logfmt «--lax»", "no flag"),
        ("{} | «»", "expected a stage"),
        ("{} | nope «»", "expected an operator"),
        ("{} | status >= «\"5\"»", "expected a number"),
        ("{} | status =~ «5»", "expected a regular expression"),
        ("{} | status«»", "expected an operator"),
        ("{} |= ip(«\"1.1.1\"»)", "no address"),
        ("{} |~ «ip»(\"1.1.1.1\")", "|= and != only"),
        ("{} | a =~ «ip»(\"1.1.1.1\")", "= and != only"),
        ("{a=«\"b}»", "no closing quote"),
        (r#"{a="b«\q»"}"#, "unknown escape"),
        ("rate({}«)»", "expected a window"),
        ("rate({}[«5»])", "expected a duration"),
        ("rate({}[«0s»])", "longer than 0s"),
        ("rate({}[«5parsecs»])", "no number, duration or size"),
        ("«nope»({}[5m])", "unknown function \"nope\""),
        ("«stddev_over_time»({}[5m])", "unwrapped values"),
        ("rate({}[5m] «[5m]»)", "already a window"),
        (
            "sum_over_time({} | unwrap a «| json» [5m])",
            "only label filters may follow",
        ),
        (
            "label_replace(rate({}[1m]), «\"a-b\"», \"\", \"\", \"\")",
            "no name of a label",
        ),
        ("sort(rate({}[1m])) «by (a)»", "takes no grouping"),
        ("sum(«{}»)", "numbers, and this is a log query"),
        ("topk(«0.5», rate({}[5m]))", "whole number"),
        ("rate({}[5m]) «+» {}", "one side is a log query"),
        ("rate({}[5m]) «and» 1", "one side is a number"),
        ("1 + «bool» 1", "belongs to comparisons"),
        (
            "rate({}[5m]) * on (a) «group_left (a)» rate({}[5m])",
            "already in on",
        ),
        (
            "rate({}[5m]) and on (a) «group_left» rate({}[5m])",
            "many to many",
        ),
        ("1 «+» on (a) rate({}[5m])", "one side is a number"),
        ("«sum_over_time»({}[5m])", "unwrapped values"),
        ("count_over_time({} «| unwrap a» [5m])", "works on lines"),
        ("«count_over_time»({}[5m]) by (a)", "only with unwrap"),
        ("{} «| unwrap a»", "inside of a range function"),
        ("{}«[»5m]", "inside of a range function"),
        ("{} «}»", "expected an operator or the end"),
        ("{} «§»", "unexpected character"),
    ];
    for (marked, expected) in cases {
        let start = marked.find('«').unwrap();
        let end = marked.find('»').unwrap() - '«'.len_utf8();
        let text = marked.replace(['«', '»'], "");
        let error = parse(&text).expect_err(&text);
        assert!(error.to_string().contains(expected), "{text}: {error}");
        assert_eq!(error.span, Span::new(start, end), "{text}: {error}");
    }
    assert!(parse_selector("{a=\"b\"} |= `x`").is_err());
}

#[test]
fn size_is_bounded() {
    let deep = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let nested = "sum(".repeat(10_000);
    let wide = format!("1{}", "+1".repeat(10_000));
    let filters = format!("{{}}{}", " |= `x`".repeat(10_000));
    let labels = format!("{{}} | {}", "(".repeat(10_000));
    let long = format!("{{a=\"{}\"}}", "x".repeat(100_000));
    for text in [deep, nested, wide, filters, labels, long] {
        assert!(parse(&text).is_err());
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_inside_of_itself(
        text in "([-a-z0-9{}()\\[\\],|=!~<>+*/%^\"`.:\\\\é ]|rate\\(|sum by |\\{a=\"b\"\\}|\\[5m\\]| \\|= | or | and ){0,20}"
    ) {
        match parse(&text) {
            Ok(expr) => {
                let printed = expr.to_string();
                let again = parse(&printed).map(|again| again.to_string());
                prop_assert_eq!(again, Ok(printed));
            }
            Err(error) => {
                prop_assert!(error.span.end() <= text.len(), "{text:?}: {error:?}");
                prop_assert!(text.is_char_boundary(error.span.offset));
                prop_assert!(text.is_char_boundary(error.span.end()));
            }
        }
    }
}
