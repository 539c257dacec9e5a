//! Agreement with the `promql-parser` crate on what is valid, and where it is known to differ.

use promql::parse;

/// Queries on which both must agree.
const AGREED: &[(&str, bool)] = &[
    ("foo", true),
    ("foo{a=\"b\",c!=\"d\",e=~\"f\",g!~\"h\"}", true),
    ("sum by (a) (rate(foo[5m]))", true),
    ("sum(rate(foo[5m])) without (a)", true),
    (
        "histogram_quantile(0.9, sum by (le) (rate(foo_bucket[5m])))",
        true,
    ),
    ("foo / on (a) group_left (b) bar", true),
    ("foo and bar or baz unless qux", true),
    ("foo == bool 1", true),
    ("foo offset -5m", true),
    ("foo[5m] @ start() offset 1h", true),
    ("max_over_time(rate(foo[5m])[1h:1m])", true),
    ("-foo ^ 2", true),
    ("2 ^ 3 ^ 4", true),
    ("topk(5, foo)", true),
    ("quantile(0.5, foo)", true),
    ("count_values(\"v\", foo)", true),
    ("label_replace(foo, \"a\", \"$1\", \"b\", \"(.*)\")", true),
    ("absent(foo{a=\"b\"})", true),
    ("time() - foo", true),
    ("vector(1)", true),
    ("clamp_max(foo, 10)", true),
    ("{\"foo\"}", true),
    ("foo + fill (0) bar", true),
    ("foo +", false),
    ("foo bar", false),
    ("foo{", false),
    ("foo{a=b}", false),
    ("rate(foo)", false),
    ("sum(foo[5m])", false),
    ("unknown(foo)", false),
    ("1 == 2", false),
    ("foo + bool bar", false),
    ("foo and 1", false),
    ("{}", false),
    ("{a=~\".*\"}", false),
    ("foo[5m] offset", false),
    ("foo[]", false),
    ("foo{a=~\"(\"}", false),
    ("(foo", false),
    ("foo)", false),
    ("", false),
];

/// Queries that Prometheus 3 takes and the oracle (0.11) does not: its known gaps.
const ORACLE_GAPS: &[&str] = &[
    "foo[5m * 2]",
    "foo offset -(1h + step())",
    "foo </ 5",
    "rate(foo[5m] anchored)",
    "rate(foo[5m] smoothed)",
    "info(foo, {})",
];

#[test]
fn the_oracle_agrees() {
    for (query, valid) in AGREED {
        assert_eq!(parse(query).is_ok(), *valid, "ours: {query}");
        let oracle = promql_parser::parser::parse(query).is_ok();
        assert_eq!(oracle, *valid, "the oracle: {query}");
    }
}

#[test]
fn the_oracles_known_gaps_are_still_gaps() {
    for query in ORACLE_GAPS {
        assert!(parse(query).is_ok(), "ours: {query}");
        assert!(
            promql_parser::parser::parse(query).is_err(),
            "the oracle takes it now, move it: {query}"
        );
    }
}
