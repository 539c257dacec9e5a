//! What the search syntax reads, how it prints, and where it says no.

use proptest::prelude::*;
use query::Span;
use query::search::ast::{Comparison, Node, NodeKind, Query, Test};
use query::search::parse;

#[test]
fn queries_read_as_trees() {
    // Left: as written; right: the same tree as it prints, in full.
    let cases = [
        ("", "*"),
        ("  *  ", "*"),
        ("connection refused", "connection AND refused"),
        ("a AND b OR c", "(a AND b) OR c"),
        ("a OR b c", "a OR (b AND c)"),
        ("(a OR b) c", "(a OR b) AND c"),
        ("((a))", "a"),
        ("NOT a b", "NOT a AND b"),
        ("NOT (a b)", "NOT (a AND b)"),
        (
            "-a -\"b c\" -(d e)",
            "NOT a AND NOT \"b c\" AND NOT (d AND e)",
        ),
        ("NOT NOT a", "NOT NOT a"),
        ("NOT-a", "NOT-a"),
        ("and or not", "and AND or AND not"),
        ("conn*", "conn*"),
        ("\"conn refu\"*", "\"conn refu\"*"),
        ("status:500", "status:500"),
        ("http.route:/api/*", "http.route:/api/*"),
        ("attr.k:\"a b\"", "attr.k:\"a b\""),
        ("\"odd key\":x", "\"odd key\":x"),
        ("duration:>=1.5s", "duration:>=1.5s"),
        (
            "timestamp:<\"2026-11-21T03:40:00Z\"",
            "timestamp:<2026-11-21T03:40:00Z",
        ),
        ("user:*", "user:*"),
        ("empty:\"\"", "empty:\"\""),
        (r"a\*b", "\"a*b\""),
        (r"k:a\ b", "k:\"a b\""),
        // Text as it stands in logs.
        ("http://h:80/x?a=b&c=*", "http://h:80/x?a=b&c=*"),
        ("10.0.0.1:8080", "10.0.0.1:8080"),
        ("12:30:45.5", "12:30:45.5"),
        ("::1", "::1"),
        ("std::io::Error", "std::io::Error"),
        (r"C:\temp", r#""C:\\temp""#),
        ("user@example.com", "user@example.com"),
        ("a=b", "a=b"),
        ("--flag -5", "--flag AND -5"),
        ("größe:ü", "größe:ü"),
        ("url:http://h/x", "url:http://h/x"),
    ];
    for (text, printed) in cases {
        match parse(text) {
            Ok(query) => assert_eq!(query.to_string(), printed, "{text:?}"),
            Err(error) => panic!("{text:?}: {error}"),
        }
    }
}

#[test]
fn what_is_not_understood_is_an_error_at_its_place() {
    // The marked part of the query is what the error points at.
    let cases = [
        ("a «)»", "has no \"(\""),
        ("«(»a", "no \")\""),
        ("a «()»", "nothing between"),
        ("«AND» a", "nothing before"),
        ("a «AND»", "nothing after"),
        ("a OR «OR» b", "nothing before"),
        ("(a «NOT»)", "nothing after"),
        ("«\"abc»", "no end"),
        (r#""a«\q»b""#, "unknown escape"),
        ("a«\"»b\"", "followed directly"),
        ("main«(»)", "followed directly"),
        ("(a)«(»b)", "space is missing"),
        ("«k:»", "has no value"),
        ("«k:» v", "has no value"),
        ("k:«>=» 5", "has no value"),
        ("k:«=»5", "already means equal"),
        ("k:«!»5", "NOT k:value"),
        ("k:a«*»b", "only at the end"),
        ("k:>«5*»", "whole value"),
        ("k:«/re/»", "regular expression"),
        ("k:«[1» TO 2]", "range"),
        ("k:«(a» OR b)", "list of values"),
        ("a «&&» b", "write AND"),
        ("a «||» b", "write OR"),
        ("«!»a", "write NOT"),
        ("«fuzzy~»", "fuzzy"),
        ("«---»", "no letter or digit"),
        ("ü «---»", "no letter or digit"),
        ("«_exists_»:k", "field:*"),
    ];
    for (marked, expected) in cases {
        let start = marked.find('«').unwrap();
        let end = marked.find('»').unwrap() - '«'.len_utf8();
        let text = marked.replace(['«', '»'], "");
        let error = parse(&text).expect_err(&text);
        assert_eq!(error.span, Span::new(start, end), "{text:?}: {error}");
        assert!(error.to_string().contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn size_is_bounded() {
    let deep = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(parse(&deep).unwrap_err().message.contains("nest deeper"));
    let negated = format!("{}a", "NOT ".repeat(10_000));
    assert!(parse(&negated).unwrap_err().message.contains("nest deeper"));
    let wide = "a ".repeat(10_000);
    assert!(parse(&wide).unwrap_err().message.contains("more than"));
    let long = "a".repeat(100_000);
    assert!(parse(&long).unwrap_err().message.contains("bytes"));
}

fn without_spans(node: Node) -> Node {
    let kind = match node.kind {
        NodeKind::Field { name, test, .. } => NodeKind::Field {
            name,
            name_span: Span::default(),
            test,
            value_span: Span::default(),
        },
        NodeKind::And(parts) => NodeKind::And(parts.into_iter().map(without_spans).collect()),
        NodeKind::Or(parts) => NodeKind::Or(parts.into_iter().map(without_spans).collect()),
        NodeKind::Not(inner) => NodeKind::Not(Box::new(without_spans(*inner))),
        other => other,
    };
    Node {
        kind,
        span: Span::default(),
    }
}

fn node(kind: NodeKind) -> Node {
    Node {
        kind,
        span: Span::default(),
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}",
        "(AND|OR|NOT|-a|a:b|x y|a\\*)",
        "[-a-zA-Z0-9 :*()\"\\\\/=.~!<>é\n\t]{0,8}",
    ]
}

fn any_test() -> impl Strategy<Value = Test> {
    let comparison = prop_oneof![
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual),
    ];
    prop_oneof![
        Just(Test::Exists),
        any_text().prop_map(Test::Equals),
        // An empty prefix is written as `k:""*`.
        any_text().prop_map(Test::StartsWith),
        (
            comparison,
            any_text().prop_filter("a value", |text| !text.is_empty())
        )
            .prop_map(|(comparison, text)| Test::Compare(comparison, text)),
    ]
}

fn any_node() -> impl Strategy<Value = Node> {
    let has_word = |text: &String| query::words::split(text).next().is_some();
    let leaf = prop_oneof![
        Just(node(NodeKind::Everything)),
        (any_text().prop_filter("a word", has_word), any::<bool>())
            .prop_map(|(text, prefix)| node(NodeKind::Text { text, prefix })),
        (
            any_text().prop_filter("a name", |name| name != "_exists_"),
            any_test()
        )
            .prop_map(|(name, test)| {
                node(NodeKind::Field {
                    name,
                    name_span: Span::default(),
                    test,
                    value_span: Span::default(),
                })
            }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| node(NodeKind::And(parts))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| node(NodeKind::Or(parts))),
            inner.prop_map(|inner| node(NodeKind::Not(Box::new(inner)))),
        ]
    })
}

proptest! {
    #[test]
    fn printing_then_reading_is_the_identity(root in any_node()) {
        let query = Query { root };
        let printed = query.to_string();
        let read = parse(&printed);
        prop_assert!(read.is_ok(), "{printed:?}: {read:?}");
        prop_assert_eq!(without_spans(read.unwrap().root), query.root, "{}", printed);
    }

    #[test]
    fn any_text_is_read_or_refused_inside_of_itself(text in "([-a-zA-Z0-9:*()\"\\\\/=.~!<>é ]|AND |OR |NOT ){0,24}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.span.end() <= text.len(), "{text:?}: {error:?}");
            prop_assert!(text.is_char_boundary(error.span.offset));
            prop_assert!(text.is_char_boundary(error.span.end()));
        }
    }
}
