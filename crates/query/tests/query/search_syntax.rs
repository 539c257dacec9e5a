//! What the search syntax reads, how it prints, and where it says no.

use proptest::prelude::*;
use query::Span;
use query::glob::{Glob, Part};
use query::search::ast::{Comparison, End, Match, Node, NodeKind, Query, Test};
use query::search::{compile, parse};

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
        ("and or not", "\"and\" AND \"or\" AND \"not\""),
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
        // Wildcards, fuzzy words, gaps, expressions.
        ("*fused *nec* c?n*", "*fused AND *nec* AND c?n*"),
        (r"a\?b\**", "\"a?b*\"*"),
        (r"k:a*\*b", r"k:a*\*b"),
        (r"k:a\ *b", r"k:a\ *b"),
        (r"key:\/api\/*", "key:/api/*"),
        (r"path:\temp", r#"path:"\\temp""#),
        ("conection~ refsed~1", "conection~ AND refsed~1"),
        ("k:alcie~2", "k:alcie~2"),
        ("~5 a~b ~/x", "~5 AND a~b AND ~/x"),
        ("\"disk full\"~3", "\"disk full\"~3"),
        ("/conn.* (a|b)/ x", "/conn.* (a|b)/ AND x"),
        (r"k:/a\/b/", r"k:/a\/b/"),
        ("/api/tasks /a/ /b", "/api/tasks AND /a/ AND /b"),
        ("-/a b/ -*x", "NOT /a b/ AND NOT *x"),
        // Ranges and lists.
        ("k:[1 TO 5] k:{1 TO 5}", "k:[1 TO 5] AND k:{1 TO 5}"),
        ("k:[1 TO 5}", "k:[1 TO 5}"),
        ("k:{* TO 5]", "k:[* TO 5]"),
        ("k:[ \"a b\"  TO * ]", "k:[\"a b\" TO *]"),
        ("k:(a OR b)", "k:a OR k:b"),
        ("k:(a* b* NOT c)", "k:a* AND k:b* AND NOT k:c"),
        ("k:(>1 (<5 OR \"x y\"))", "k:>1 AND (k:<5 OR k:\"x y\")"),
        ("k:(-a -5)", "NOT k:a AND k:-5"),
        ("body:(a b) c", "(body:a AND body:b) AND c"),
        ("k:=a k:=\"a*\"", "k:=a AND k:=\"a*\""),
        // Small letters are words, except beside what only a query has.
        (
            "this or that and not those",
            "this AND \"or\" AND that AND \"and\" AND \"not\" AND those",
        ),
        (
            "service:x could not connect",
            "service:x AND could AND \"not\" AND connect",
        ),
        ("service:x \"or\" y", "service:x AND \"or\" AND y"),
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
        ("k:«==»5", "write k:=value"),
        ("k:«=~»\"a\"", "write k:/expression/"),
        ("k:«!»5", "NOT k:value"),
        ("k:>«5*»", "whole value"),
        ("k:=«a?»", "whole value"),
        ("k:«=» 5", "has no value"),
        ("k:/a«(»b/", "unclosed group"),
        ("é /a[«z-a»]/", "invalid character class range"),
        ("/«(?=»x)/", "look-around"),
        ("/a/«i»", "write (?i)"),
        ("k:[1 «2»]", "no \"TO\""),
        ("k:«[»1 TO 2", "no \"]\""),
        ("k:[1 TO «»]", "end of the range is missing"),
        ("k:[1 TO «a*»]", "whole value"),
        ("k:{ first: «\"»a\" }", "no \"TO\""),
        ("k:«()»", "nothing between"),
        ("k:(a «b»)", "write k:(a OR b)"),
        ("k:(a «or» b)", "write OR"),
        ("k:«(»a", "no \")\""),
        ("service:x «and» y", "write AND"),
        ("(a b) «or» c", "write OR"),
        ("a «not» (b)", "write NOT"),
        ("a «:»b", "no field before it"),
        ("«*»:*", "write * alone"),
        ("«http.*»:500", "no wildcards"),
        ("«status>=500»", "write status:>=500"),
        ("status «>=» 500", "write field:>=value"),
        ("«+»a b", "leave it out"),
        ("a«^2» b", "no word weighs more"),
        ("\"a b\"«^2»", "no word weighs more"),
        ("a«~3»", "takes 1 or 2 edits"),
        ("a«~0.5»", "takes 1 or 2 edits"),
        ("\"a b\"«~»", "number of words"),
        ("«a*b~»", "no wildcards"),
        ("«10.0~»", "takes one word"),
        ("«a?b?c?d?e?f»", "at most 4"),
        ("«?*»", "no letter or digit"),
        ("a «&&» b", "write AND"),
        ("a «||» b", "write OR"),
        ("«!»a", "write NOT"),
        ("«---»", "no letter or digit"),
        ("ü «---»", "no letter or digit"),
        ("«_exists_»:k", "field:*"),
        ("«_missing_»:k", "NOT field:*"),
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
    let listed = format!("k:({})", "a OR ".repeat(300) + "a");
    assert!(parse(&listed).unwrap_err().message.contains("more than"));
    let patterns = "/a/ b~ ".repeat(11);
    let message = parse(&patterns).unwrap_err().message;
    assert!(
        message.contains("more than 20 regular expressions"),
        "{message}"
    );
    let large = parse(r"/\w{500}/").unwrap_err();
    assert!(large.message.contains("when compiled"), "{large}");
    let fuzzy = format!("{}~", "a".repeat(65));
    assert!(parse(&fuzzy).unwrap_err().message.contains("at most 64"));
}

/// The examples of the first table of the page, in their order.
fn documented_examples() -> Vec<String> {
    let page = include_str!("../../../../docs/search-syntax.md");
    let (_, table) = page.split_once("|---|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    // A table's cells end at a `|` that has no backslash before it.
    let cells = rows.map(|row| row.replace("\\|", "\0"));
    let examples = cells.map(|row| row.split('|').nth(2).unwrap().replace('\0', "|"));
    examples
        .map(|cell| cell.trim().trim_matches('`').to_owned())
        .collect()
}

#[test]
fn every_documented_example_is_understood() {
    let examples = documented_examples();
    assert!(examples.len() > 30, "{examples:?}");
    for example in examples {
        if let Err(error) = compile(&example, 0) {
            panic!("{example:?}: {error}");
        }
    }
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
        "(AND|OR|NOT|TO|and|or|-a|a:b|x y|a\\*|a~1|a\\^2|a>5|/a/|\\*:a)",
        "[-a-zA-Z0-9 :*?()\\[\\]{}\"\\\\/=.~^!<>&|+é\n\t]{0,8}",
    ]
}

fn any_glob() -> impl Strategy<Value = Glob> {
    let part = prop_oneof![
        3 => any_text().prop_map(Part::Literal),
        1 => Just(Part::Any),
        1 => Just(Part::One),
    ];
    prop_oneof![
        any_text().prop_map(Glob::literal),
        any_text().prop_map(|text| Glob::new([Part::Literal(text), Part::Any])),
        prop::collection::vec(part, 0..4).prop_map(Glob::new),
    ]
}

fn any_match() -> impl Strategy<Value = Match> {
    // Without letters or digits before it, `~` is text.
    let fuzzy = any_text().prop_filter("a text", |text| !text.is_empty());
    let expression = "[-a-z0-9 :*?().\"~é]{1,8}(\\\\/)?";
    let is_expression = |text: &String| query::expression::compile(text).is_ok();
    prop_oneof![
        4 => any_glob().prop_map(Match::Text),
        1 => (any_text(), 0..1_000_u32).prop_map(|(phrase, gaps)| Match::Near { phrase, gaps }),
        1 => (fuzzy, prop::option::of(1..3_u8))
            .prop_map(|(text, edits)| Match::Similar { text, edits }),
        1 => expression.prop_filter("an expression", is_expression).prop_map(Match::Expression),
    ]
}

fn any_test() -> impl Strategy<Value = Test> {
    let comparison = prop_oneof![
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual),
    ];
    let end = || {
        prop_oneof![
            Just(End::Open),
            any_text().prop_map(End::Including),
            any_text().prop_map(End::Excluding),
        ]
    };
    prop_oneof![
        1 => Just(Test::Exists),
        4 => any_match().prop_map(Test::Match),
        1 => any_text().prop_map(Test::Is),
        1 => (comparison, any_text())
            .prop_map(|(comparison, text)| Test::Compare(comparison, text)),
        1 => (end(), end()).prop_map(|(from, to)| Test::Range { from, to }),
    ]
}

fn any_node() -> impl Strategy<Value = Node> {
    let in_body = |test: &Match| match test {
        Match::Text(glob) => {
            let singles = glob.parts().iter().filter(|part| **part == Part::One);
            let is_word = |part: &Part| matches!(part, Part::Literal(text) if query::words::split(text).next().is_some());
            singles.count() <= 4 && glob.parts().iter().any(is_word)
        }
        Match::Near { phrase, .. } => query::words::split(phrase).next().is_some(),
        Match::Similar { text, .. } => query::words::split(text).count() == 1,
        Match::Expression(_) => true,
    };
    let leaf = prop_oneof![
        1 => Just(node(NodeKind::Everything)),
        3 => any_match().prop_filter("a word", in_body).prop_map(|test| node(NodeKind::Body(test))),
        3 => (any_text(), any_test())
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
    fn any_text_is_read_or_refused_inside_of_itself(text in "([-a-zA-Z0-9:*?()\\[\\]{}\"\\\\/=.~^+!<>&|é ]|AND |OR |NOT | TO |k:\\(|k:\\[|body:){0,24}") {
        if let Err(error) = compile(&text, 0) {
            prop_assert!(error.span.end() <= text.len(), "{text:?}: {error:?}");
            prop_assert!(text.is_char_boundary(error.span.offset));
            prop_assert!(text.is_char_boundary(error.span.end()));
        }
    }

    #[test]
    fn any_characters_are_read_or_refused(text in any::<String>()) {
        if let Err(error) = compile(&text, 0) {
            prop_assert!(text.get(error.span.offset..error.span.end()).is_some(), "{error:?}");
        }
    }
}
