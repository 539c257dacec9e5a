//! Which texts are PromQL, and what is said about those that are not.

use promql::{MAX_DEPTH, parse};

/// Queries and their canonical text; `""` when they print as written.
const VALID: &[(&str, &str)] = &[
    ("1", ""),
    ("0x1f", "31"),
    ("1_000", "1000"),
    ("1e3", "1000"),
    ("-inf", "-Inf"),
    ("5m", ""),
    ("90", ""),
    ("'it\\'s'", "\"it's\""),
    ("`a\\b`", "\"a\\\\b\""),
    ("'a\\xc5z'", "\"a\\xc5z\""),
    ("foo # comment\n", "foo"),
    ("foo:bar", ""),
    (":foo", ""),
    ("foo{}", "foo"),
    ("foo{a='b',}", "foo{a=\"b\"}"),
    ("foo{b=\"1\",a!=\"2\"}", "foo{a!=\"2\",b=\"1\"}"),
    ("{a=~\"b.*\"}", ""),
    ("{\"http.status\"=\"200\"}", ""),
    (
        "{\"http requests\", a=\"b\"}",
        "{__name__=\"http requests\",a=\"b\"}",
    ),
    ("{\"foo\"}", "{__name__=\"foo\"}"),
    (
        "foo{sum=\"1\",by!~\"x\",on=\"y\"}",
        "foo{by!~\"x\",on=\"y\",sum=\"1\"}",
    ),
    ("foo[5m]", ""),
    ("foo[300]", "foo[5m]"),
    ("foo[1.5]", "foo[1s500ms]"),
    ("foo[5m * 2]", ""),
    ("foo[step() + 1m]", ""),
    ("foo[min(step(), 5m)]", ""),
    ("foo[(1h + 5m) * 2]", ""),
    ("foo[-(-5m)]", ""),
    ("foo offset 5m", ""),
    ("foo offset -5m", ""),
    ("foo offset -(1h + step())", ""),
    ("foo offset 5m * 2", ""),
    ("foo offset -2 ^ 2", "foo offset -2s ^ 2"),
    ("foo[5m] offset 1h @ 10", "foo[5m] @ 10.000 offset 1h"),
    ("foo @ 1609746000.5", "foo @ 1609746000.500"),
    ("foo @ -1", "foo @ -1.000"),
    ("foo @ start()", ""),
    ("foo[5m] @ end() offset 1w", ""),
    ("foo[1h:5m]", ""),
    ("foo[1h:]", ""),
    ("rate(foo[5m])[1h:step()]", ""),
    ("(foo + bar)[1h:5m] offset 1m", ""),
    ("foo[5m] anchored", ""),
    ("rate(foo[5m] smoothed)", ""),
    ("foo anchored", ""),
    ("sum(foo)", ""),
    ("sum by (a) (foo)", ""),
    ("sum(foo) by (a)", "sum by (a) (foo)"),
    ("SUM(foo) BY (a, b,)", "sum by (a, b) (foo)"),
    ("sum without () (foo)", ""),
    ("sum by () (foo)", "sum(foo)"),
    ("sum by (\"http.status\", by, on) (foo)", ""),
    ("topk(5, foo)", ""),
    ("count_values(\"v\", foo)", ""),
    ("limitk(1, foo) or limit_ratio(0.5, foo)", ""),
    ("sum + by + offset + and", ""),
    (
        "start + end + step + range + anchored + smoothed + fill",
        "",
    ),
    (
        "foo and bar OR baz UNLESS qux",
        "foo and bar or baz unless qux",
    ),
    ("a or b and c == d + e * f ^ g", ""),
    ("a ^ b ^ c", ""),
    ("-a ^ b", ""),
    ("- -1", "1"),
    ("--a", ""),
    ("+a", ""),
    ("2 ^ -1", ""),
    ("a atan2 b", ""),
    ("1 == bool 2", ""),
    ("a </ 5 + b >/ 1", ""),
    ("a + on (x) group_left (y) b", ""),
    ("a + on (x) group_left b", "a + on (x) group_left () b"),
    ("a + ignoring (x) group_right () b", ""),
    ("a == bool on () b", ""),
    ("a + fill (0) b", ""),
    ("a + on (x) fill_left (1) fill_right (-2) b", ""),
    ("a + fill_left (1) fill_right (1) b", "a + fill (1) b"),
    ("fill + fill_left", ""),
    ("time()", ""),
    ("rate(foo[5m])", ""),
    ("round(foo)", ""),
    ("round(foo, 5)", ""),
    ("label_join(foo, \"a\", \",\")", ""),
    ("label_join(foo, \"a\", \",\", \"b\", \"c\")", ""),
    ("info(foo)", ""),
    ("info(foo, {data=~\".*\"})", ""),
    ("info(foo, {})", ""),
    ("start() + end() + range() + step()", ""),
    ("histogram_quantiles(foo, \"q\", 0.5, 0.9)", ""),
    ("day_of_month()", ""),
    ("\"text\"", ""),
    ("inf + NaN", "+Inf + NaN"),
    ("foo{a=~\"(?i:x)|y{2,3}\"}", ""),
];

#[test]
fn valid_queries_parse_and_print_canonically() {
    for (query, canonical) in VALID {
        let expr = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let printed = expr.to_string();
        let expected = if canonical.is_empty() {
            query
        } else {
            canonical
        };
        assert_eq!(printed, *expected, "of {query}");
        let again = parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
        assert_eq!(again, expr, "of {query}");
    }
}

/// Queries and what is said about them.
const INVALID: &[(&str, &str)] = &[
    ("", "column 1: the query is empty"),
    ("# only a comment", "column 17: the query is empty"),
    (
        "rate(http_requests_total[])",
        "column 26: expected a duration such as 5m, found \"]\"",
    ),
    (
        "foo +",
        "column 6: expected an expression, found the end of the query",
    ),
    (
        "foo bar",
        "column 5: expected an operator, found \"bar\"; two expressions need an operator such as + or and between them",
    ),
    ("(foo", "column 1: this \"(\" is never closed"),
    (
        "foo)",
        "column 4: unexpected \")\" without an opening \"(\"",
    ),
    ("foo{a=\"b\"", "column 4: this \"{\" is never closed"),
    ("foo[5m", "column 4: this \"[\" is never closed"),
    (
        "foo{a=b}",
        "column 7: expected a quoted label value, found \"b\"; label values are quoted: job=\"api\"",
    ),
    (
        "foo{a}",
        "column 6: expected one of = != =~ !~ after a label name, found \"}\"",
    ),
    (
        "foo{a=\"b\" c=\"d\"}",
        "column 11: expected \",\" or \"}\" after a label matcher, found \"c\"",
    ),
    (
        "foo{__name__=\"bar\"}",
        "column 5: the metric name is set twice: \"foo\" and \"bar\"",
    ),
    (
        "{}",
        "column 1: the selector matches every series; give at least one matcher that does not match the empty string, as in {job=~\".+\"}",
    ),
    (
        "{a=\"\"}",
        "column 1: the selector matches every series; give at least one matcher that does not match the empty string, as in {job=~\".+\"}",
    ),
    (
        "{a=~\".*\"}[5m]",
        "column 1: the selector matches every series; give at least one matcher that does not match the empty string, as in {job=~\".+\"}",
    ),
    (
        "foo{a=~\"(\"}",
        "column 5: invalid regular expression \"(\": unclosed group",
    ),
    (
        "raet(foo[5m])",
        "column 1: unknown function \"raet\"; did you mean rate?",
    ),
    ("nonsense(foo)", "column 1: unknown function \"nonsense\""),
    (
        "rate(foo)",
        "column 6: rate expects a range vector here, got an instant vector; give the selector a range, such as [5m]",
    ),
    (
        "rate(sum(foo))",
        "column 6: rate expects a range vector here, got an instant vector; give the expression a range, such as [5m:]",
    ),
    (
        "sum(foo[5m])",
        "column 5: sum expects an instant vector here, got a range vector; remove the range, or put a function such as rate(…) around it",
    ),
    ("rate(foo[5m], 1)", "column 1: rate takes 1 argument, got 2"),
    ("clamp(foo)", "column 1: clamp takes 3 arguments, got 1"),
    ("round()", "column 1: round takes 1 to 2 arguments, got 0"),
    (
        "label_join(foo)",
        "column 1: label_join takes at least 3 arguments, got 1",
    ),
    ("topk(foo)", "column 1: topk takes 2 arguments, got 1"),
    (
        "topk(\"x\", foo)",
        "column 6: topk expects a scalar here, got a string",
    ),
    (
        "abs(foo,)",
        "column 8: no \",\" is allowed after the last argument",
    ),
    (
        "sum by a (foo)",
        "column 8: expected \"(\" and a list of labels, found \"a\"",
    ),
    (
        "sum by (a b) (foo)",
        "column 11: expected \",\" or \")\" after a label name, found \"b\"",
    ),
    (
        "sum by (a:b) (foo)",
        "column 9: expected a label name or \")\", found \"a:b\"",
    ),
    (
        "foo + group_left (a) bar",
        "column 7: \"group_left\" must follow on (…) or ignoring (…); name the labels that both sides share: on (job) group_left",
    ),
    (
        "foo + on (a) group_left (a) bar",
        "column 5: label \"a\" cannot stand in on (…) and in group_left or group_right",
    ),
    (
        "foo and on (a) group_left () bar",
        "column 5: \"and\" takes no group_left or group_right",
    ),
    ("foo or fill (0) bar", "column 5: \"or\" takes no fill (…)"),
    (
        "foo + on (a) 1",
        "column 1: on (…) and ignoring (…) match two instant vectors, and one side is a scalar",
    ),
    (
        "1 == 2",
        "column 3: a comparison of two scalars needs bool; write == bool",
    ),
    (
        "foo + bool bar",
        "column 5: bool goes with comparisons only, not with \"+\"",
    ),
    (
        "1 and foo",
        "column 3: \"and\" works on two instant vectors, not on scalars",
    ),
    (
        "foo + \"x\"",
        "column 7: \"+\" works on scalars and instant vectors, got a string",
    ),
    (
        "foo[5m] + 1",
        "column 1: \"+\" works on scalars and instant vectors, got a range vector; put a function such as rate(…) around the range vector",
    ),
    (
        "-\"x\"",
        "column 2: a sign needs a scalar or an instant vector behind it, got a string",
    ),
    (
        "foo = 1",
        "column 5: expected an operator or the end of the query, found \"=\"",
    ),
    ("foo[0s]", "column 5: a range must be greater than 0"),
    ("foo[-5m]", "column 5: a range must be greater than 0"),
    ("foo[1h:0s]", "column 8: a step must be greater than 0"),
    ("foo[5m/0]", "column 8: division by zero"),
    ("foo[999999999999]", "column 5: duration out of range"),
    (
        "foo offset 5m [5m]",
        "column 15: offset and @ stand behind the range, not before it; write metric[5m] offset 1h",
    ),
    ("foo offset 5m offset 5m", "column 15: offset is set twice"),
    ("foo @ 1 @ 2", "column 9: @ is set twice"),
    ("foo @ Inf", "column 7: the time inf is out of range"),
    (
        "foo @ bar",
        "column 7: expected a Unix time in seconds, start() or end(), found \"bar\"",
    ),
    (
        "sum(foo) offset 5m",
        "column 10: offset needs a selector or a subquery before it; put it behind each selector inside of the expression",
    ),
    (
        "sum(foo)[5m]",
        "column 9: a range needs a selector before it, got an instant vector; a range over an expression is a subquery: (expression)[1h:1m]",
    ),
    (
        "1[5m:]",
        "column 1: a subquery needs an instant vector, got a scalar",
    ),
    (
        "foo[5m] anchored smoothed",
        "column 18: anchored and smoothed exclude each other",
    ),
    (
        "foo[1h:] smoothed",
        "column 10: smoothed needs a selector before it",
    ),
    (
        "info(foo, bar)",
        "column 11: info takes label matchers in braces as its second argument; write info(metric, {data=~\".+\"})",
    ),
    (
        "bool",
        "column 1: expected an expression, found \"bool\"; a metric of this name is written {\"bool\"}",
    ),
    (
        "foo\n  +\n  }",
        "line 3, column 3: expected an expression, found \"}\"",
    ),
    (
        "näme",
        "column 2: unexpected character 'ä'; names beyond ASCII are quoted inside of braces: {\"näme\", \"läbel\"=\"value\"}",
    ),
    (
        "foo || bar",
        "column 5: unexpected character '|'; the operator is written \"or\"",
    ),
    (
        "foo 5m",
        "column 5: expected an operator, found \"5m\"; the range of a selector stands in brackets: metric[5m]",
    ),
];

#[test]
fn invalid_queries_are_explained_at_their_place() {
    for (query, expected) in INVALID {
        let error = parse(query).expect_err(query).to_string();
        assert_eq!(error, format!("parse error at {expected}"), "of {query}");
    }
}

#[test]
fn depth_is_bounded_whatever_nests() {
    let n = 10_000;
    let queries = [
        format!("{}1{}", "(".repeat(n), ")".repeat(n)),
        format!("{}foo", "-".repeat(n)),
        format!("{}foo{}", "abs(".repeat(n), ")".repeat(n)),
        format!("foo{}", " + foo".repeat(n)),
        format!("2{}", " ^ 2".repeat(n)),
        format!("foo[{}5m{}]", "(".repeat(n), ")".repeat(n)),
        format!("foo[{}5m]", "-".repeat(n)),
        format!("foo[5m{}]", " + 5m".repeat(n)),
        format!("foo[2{}]", " ^ 2".repeat(n)),
        format!("{}foo", "sum(".repeat(n)),
        "(".repeat(n),
    ];
    for query in queries {
        let error = parse(&query).unwrap_err();
        assert!(
            error.message.contains("deep") || error.message.contains("too many"),
            "{}…: {error}",
            &query[..20]
        );
    }
}

#[test]
fn a_chain_of_operators_below_the_bound_is_fine() {
    let query = format!("foo{}", " or foo".repeat(MAX_DEPTH - 2));
    let expr = parse(&query).unwrap();
    assert_eq!(expr.to_string(), query);
}

#[test]
fn every_node_knows_its_bytes() {
    let query = " sum by (a) ( rate(foo{b=\"c\"}[5m] offset 1h) ) + -(bar) ";
    let expr = parse(query).unwrap();
    let mut texts = Vec::new();
    let mut pending = vec![&expr];
    while let Some(expr) = pending.pop() {
        texts.push(&query[expr.span.start..expr.span.end]);
        pending.extend(expr.children().into_iter().rev());
    }
    assert_eq!(
        texts,
        [
            query.trim(),
            "sum by (a) ( rate(foo{b=\"c\"}[5m] offset 1h) )",
            "rate(foo{b=\"c\"}[5m] offset 1h)",
            "foo{b=\"c\"}[5m] offset 1h",
            "-(bar)",
            "(bar)",
            "bar",
        ]
    );
}
