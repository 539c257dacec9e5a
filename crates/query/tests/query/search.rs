//! Which records a search finds.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use model::time::NANOS_PER_SECOND;
use model::{Attributes, LogRecord, Resource, Scope, Seq, Value};
use query::Span;
use query::glob::Glob;
use query::lookup::{self, Lookup};
use query::search::compile;
use query::term_pattern::TermPattern;

use crate::table;

const NOW: i64 = 1_800_000_000 * NANOS_PER_SECOND;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// Five records, known in the cases below by their place.
pub(crate) fn records() -> Vec<LogRecord> {
    let resource = |service: &str, zone: &str| {
        Arc::new(Resource {
            attributes: Attributes::from_iter([("service.name", service), ("zone", zone)]),
            ..Resource::default()
        })
    };
    let scope = Arc::new(Scope {
        name: "api::tasks".to_owned(),
        ..Scope::default()
    });
    let record = |ago: i64, severity: i32, body: Value, resource: &Arc<Resource>| LogRecord {
        timestamp: NOW - ago * NANOS_PER_SECOND,
        observed_timestamp: 0,
        severity_number: severity,
        severity_text: String::new(),
        body,
        attributes: Attributes::default(),
        dropped_attributes_count: 0,
        trace_id: None,
        span_id: None,
        flags: 0,
        event_name: String::new(),
        resource: Arc::clone(resource),
        scope: Arc::clone(&scope),
    };
    let (api, web) = (resource("api", "eu-1"), resource("web", "us-1"));
    let mut all = vec![
        record(
            50,
            17,
            Value::from("Connection refused by 10.0.0.1:5432"),
            &api,
        ),
        record(40, 9, Value::from("GET /api/tasks?id=7 took 12ms"), &api),
        record(30, 14, Value::from("slow query for user@example.com"), &web),
        record(
            20,
            0,
            Value::Map(vec![("event".to_owned(), Value::from("login"))]),
            &web,
        ),
        record(10, 21, Value::Empty, &web),
    ];
    all[0].attributes = Attributes(vec![
        ("status".to_owned(), Value::Int(500)),
        ("took".to_owned(), Value::from("1.5s")),
        ("zone".to_owned(), Value::from("override")),
    ]);
    all[1].attributes = Attributes(vec![
        ("status".to_owned(), Value::Int(200)),
        ("took".to_owned(), Value::from("12ms")),
        ("http.route".to_owned(), Value::from("/api/tasks")),
        ("size".to_owned(), Value::from("2KiB")),
    ]);
    all[1].trace_id = Some(TRACE.parse().unwrap());
    all[1].span_id = Some(SPAN.parse().unwrap());
    all[2].severity_text = "Warning".to_owned();
    let roles = Value::Map(vec![("admin".to_owned(), Value::Bool(true))]);
    let user = Value::Map(vec![
        ("id".to_owned(), Value::Int(7)),
        ("roles".to_owned(), roles),
    ]);
    all[2].attributes = Attributes(vec![
        ("empty".to_owned(), Value::Empty),
        ("blank".to_owned(), Value::from("")),
        ("user".to_owned(), user),
    ]);
    all[3].event_name = "user.login".to_owned();
    all
}

async fn found(query: &str) -> Vec<usize> {
    found_in(&records(), query).await
}

async fn found_in(records: &[LogRecord], query: &str) -> Vec<usize> {
    let filter = compile(query, NOW).unwrap_or_else(|error| panic!("{query:?}: {error}"));
    let session = table::session(records, &filter.keys);
    let batches = session
        .table("logs")
        .await
        .and_then(|logs| logs.filter(filter.expr))
        .and_then(|logs| logs.select_columns(&["seq"]))
        .unwrap()
        .collect()
        .await
        .unwrap_or_else(|error| panic!("{query:?}: {error}"));
    let mut rows: Vec<usize> = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values())
        .map(|seq| Seq::from_i64(*seq).ordinal() as usize)
        .collect();
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn searches_find_their_records() {
    let short_trace = format!("trace_id:{}*", &TRACE[..6]);
    let upper_span = format!("span_id:{}", SPAN.to_uppercase());
    let cases: &[(&str, &[usize])] = &[
        ("", &[0, 1, 2, 3, 4]),
        // Words: case-insensitive, whole, in the body.
        ("connection", &[0]),
        ("İstanbul OR İ*", &[]),
        ("connect", &[]),
        ("connect*", &[0]),
        ("10.0.0.1", &[0]),
        ("10.0.0*", &[0]),
        ("0.0.1:5432", &[0]),
        ("id=7", &[1]),
        ("user@example.com", &[2]),
        ("login", &[3]),
        ("\"refused by\"", &[0]),
        ("\"by refused\"", &[]),
        ("refused by", &[0]),
        ("\"refused b\"*", &[0]),
        ("body:took", &[1]),
        ("body:\"took 12ms\"", &[1]),
        ("NOT body:*", &[4]),
        // Wildcards, fuzzy words, gaps, expressions, the whole body.
        ("*fused", &[0]),
        ("*onnec*", &[0]),
        ("c?nn* r*d", &[0]),
        ("10.*.*.1", &[0]),
        ("10.*.1", &[]),
        ("tasks?id=7", &[1]),
        ("task?", &[1]),
        ("conection~1", &[0]),
        ("CONNECTOIN~", &[0]),
        ("conecton~1", &[]),
        ("\"connection by\"~1", &[0]),
        ("\"connection by\"~0", &[]),
        ("\"by connection\"~5", &[]),
        ("/refused by \\d+/", &[0]),
        ("/Refused/", &[]),
        ("/(?i)Refused/", &[0]),
        ("/took \\d+ms$/", &[1]),
        ("body:=\"slow query for user@example.com\"", &[2]),
        ("body:=\"slow query\"", &[]),
        ("body:(slow user) OR body:login", &[2, 3]),
        ("body:/^GET/", &[1]),
        ("body.event:login", &[3]),
        ("body.event:*", &[3]),
        ("NOT body.event:*", &[0, 1, 2, 4]),
        ("body.event.x:*", &[]),
        // Identifiers, bare or by field.
        (TRACE, &[1]),
        (SPAN, &[1]),
        (&short_trace, &[1]),
        (&upper_span, &[1]),
        // Fields: exact, case-sensitive.
        ("service:api", &[0, 1]),
        ("service:API", &[]),
        ("service:w*", &[2, 3, 4]),
        ("scope:\"api::tasks\" service:api", &[0, 1]),
        ("event_name:user.login", &[3]),
        ("severity_text:Warning", &[2]),
        ("status:500", &[0]),
        ("status:>=200 status:<500", &[1]),
        ("took:>1s", &[0]),
        ("took:<=12ms", &[1]),
        ("size:>2KB", &[1]),
        ("http.route:/api/*", &[1]),
        ("http.route:\"/api/tasks\"", &[1]),
        ("http.route:*task*", &[1]),
        ("http.route:/ap?/*s", &[1]),
        ("http.route:*TASK*", &[]),
        ("http.route:/^.api/", &[1]),
        ("http.route:/(?i)TASKS$/", &[1]),
        ("http.route:/api/task~1", &[1]),
        ("http.route:=/api/tasks", &[1]),
        ("status:[200 TO 500]", &[0, 1]),
        ("status:[200 TO 500}", &[1]),
        ("status:{200 TO *]", &[0]),
        ("status:[* TO *]", &[0, 1]),
        ("took:[10ms TO 1s]", &[1]),
        ("status:(200 OR 500)", &[0, 1]),
        ("status:(>100 NOT 500)", &[1]),
        ("user.id:7", &[2]),
        ("user.roles.admin:true", &[2]),
        ("attr.user.id:>=7", &[2]),
        ("user.id:*", &[2]),
        ("user.name:*", &[]),
        // Sent without a value, or as an empty text.
        ("empty:*", &[]),
        ("blank:*", &[2]),
        ("blank:\"\"", &[2]),
        // The record's or the resource's attribute.
        ("zone:eu-1", &[0, 1]),
        ("zone:override", &[0]),
        ("attr.zone:*", &[0]),
        ("resource.zone:us-1", &[2, 3, 4]),
        // Severity by level and number.
        ("severity:error", &[0]),
        ("level:ERROR", &[0]),
        ("severity:>=warn", &[0, 2, 4]),
        ("severity:>warn", &[0, 4]),
        ("severity:<warn", &[1]),
        ("severity:<=warn", &[1, 2]),
        ("severity:unset", &[3]),
        ("severity:*", &[0, 1, 2, 4]),
        ("severity:14", &[2]),
        ("severity_number:>14", &[0, 4]),
        ("severity:[warn TO error]", &[0, 2]),
        ("severity:(error OR unset)", &[0, 3]),
        ("trace_id:*4736", &[1]),
        ("trace_id:/^4bf9/", &[1]),
        // Time.
        ("timestamp:>=now-25s", &[3, 4]),
        ("timestamp:<2027-01-15T07:59:30Z", &[0, 1]),
        ("timestamp:[now-30s TO now-20s]", &[2, 3]),
        ("observed_timestamp:*", &[]),
        // Boolean operators; NOT also finds what lacks the field.
        ("NOT status:500", &[1, 2, 3, 4]),
        ("NOT (status:500 OR status:200)", &[2, 3, 4]),
        ("NOT NOT status:500", &[0]),
        ("-connection service:api", &[1]),
        ("status:200 OR severity:fatal", &[1, 4]),
        ("(login OR slow) service:web", &[2, 3]),
    ];
    for (query, expected) in cases {
        assert_eq!(&found(query).await, expected, "{query:?}");
    }
}

#[tokio::test]
async fn severities_that_only_texts_state_are_found_like_those_that_were_sent() {
    let stated = |number: i32, text: &str, body: Value| {
        let mut record = records().swap_remove(0);
        record.severity_number = number;
        record.severity_text = text.to_owned();
        record.body = body;
        record
    };
    let map = Value::Map(vec![("level".to_owned(), Value::from("fatal"))]);
    let records = [
        stated(0, "", Value::from("[ERROR] disk full")),
        stated(0, "", Value::from("level=warn disk")),
        stated(0, "Debug", Value::from("[ERROR] disk")),
        stated(0, "", map),
        stated(0, "", Value::from("no error was found")),
        // A number that was sent wins, whatever it is.
        stated(9, "ERROR", Value::from("[ERROR] disk")),
        stated(30, "ERROR", Value::from("[ERROR] disk")),
    ];
    let cases: &[(&str, &[usize])] = &[
        ("severity:error", &[0]),
        ("level:>=warn", &[0, 1, 3]),
        ("severity:<warn", &[2, 5]),
        ("severity:17", &[0]),
        ("severity:unset", &[4, 6]),
        ("severity:*", &[0, 1, 2, 3, 5]),
        ("NOT severity:error", &[1, 2, 3, 4, 5, 6]),
        // What was sent stays what it was.
        ("severity_number:0", &[0, 1, 2, 3, 4]),
        ("severity_text:ERROR", &[5, 6]),
    ];
    for (query, expected) in cases {
        assert_eq!(&found_in(&records, query).await, expected, "{query:?}");
    }
}

#[test]
fn values_that_a_field_cannot_have_are_errors_at_their_place() {
    let cases = [
        ("severity:«loud»", "no severity"),
        ("severity:«>=unset»", "below or above"),
        ("severity:«err*»", "no pattern"),
        ("severity:«err~»", "no pattern"),
        ("severity_number:«high»", "whole number"),
        ("trace_id:«xyz»", "hex"),
        ("trace_id:«0»", "zeros"),
        ("span_id:«>1»", "compared"),
        ("service:«>a»", "compared"),
        ("status:«>abc»", "number (500)"),
        ("timestamp:«>yesterday»", "RFC 3339"),
        ("timestamp:«now-5m*»", "no pattern"),
        ("status:«[1 TO 5ms]»", "both numbers"),
        ("status:«[a TO b]»", "number (500)"),
        ("service:«[a TO b]»", "compared"),
        ("trace_id:«xy*»", "hex"),
        ("trace_id:«4bf~1»", "by a part"),
        ("k:«\"a b\"~2»", "words with gaps"),
        ("body:«a.b~»", "takes one word"),
        ("k:(«>x» OR 5)", "number (500)"),
        ("body:«\"...\"»", "no letter"),
    ];
    for (marked, expected) in cases {
        let start = marked.find('«').unwrap();
        let end = marked.find('»').unwrap() - '«'.len_utf8();
        let text = marked.replace(['«', '»'], "");
        let error = compile(&text, NOW).expect_err(&text);
        assert_eq!(error.span, Span::new(start, end), "{text:?}: {error}");
        assert!(error.to_string().contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn searches_name_the_keys_and_what_the_index_is_asked() {
    let filter = compile("refused k:v NOT x:y", NOW).unwrap();
    let columns: Vec<String> = filter.keys.columns().collect();
    assert_eq!(columns, ["attr.k", "attr.x", "resource.k", "resource.x"]);

    let word = |word: &str| Lookup::Word {
        column: "body".to_owned(),
        word: word.to_owned(),
    };
    let equals = |column: &str, value: &str| Lookup::Equals {
        column: column.to_owned(),
        value: value.to_owned(),
    };
    let expected = Lookup::All(vec![
        word("refused"),
        Lookup::OneOf(vec![equals("attr.k", "v"), equals("resource.k", "v")]),
    ]);
    assert_eq!(lookup::from_logical(&filter.expr), expected);
    let phrase = compile("\"Disk full\" severity:>=warn", NOW).unwrap();
    assert_eq!(
        lookup::from_logical(&phrase.expr),
        Lookup::All(vec![word("disk"), word("full")])
    );
    let negated = compile("NOT refused", NOW).unwrap();
    assert_eq!(lookup::from_logical(&negated.expr), Lookup::Any);
    let nested = compile("body.user.id:>5", NOW).unwrap();
    assert_eq!(
        lookup::from_logical(&nested.expr),
        Lookup::All(vec![word("user"), word("id")])
    );
    let fits = |glob: &str| Lookup::WordFits {
        column: "body".to_owned(),
        pattern: TermPattern::glob(Glob::parse(glob)),
    };
    for (query, expected) in [
        ("*fused", fits("*fused")),
        (
            "/ (refused|failed) /",
            Lookup::OneOf(vec![fits("*refused*"), fits("*failed*")]),
        ),
        ("/refused/", fits("*refused*")),
        (
            "\"disk full\"~2",
            Lookup::All(vec![word("disk"), word("full")]),
        ),
    ] {
        let filter = compile(query, NOW).unwrap();
        assert_eq!(lookup::from_logical(&filter.expr), expected, "{query}");
    }
}

#[tokio::test]
async fn the_widest_query_runs_on_a_small_stack() {
    let wide = (0..200)
        .map(|index| format!("NOT k{index}:v"))
        .collect::<Vec<_>>()
        .join(" OR ");
    let thread = std::thread::Builder::new()
        .stack_size(2 * 1024 * 1024)
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(found(&wide)).len()
        })
        .unwrap();
    assert_eq!(thread.join().unwrap(), 5);
}
