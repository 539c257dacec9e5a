//! The scan against a naive reading of the same rows.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use datafusion::common::DFSchema;
use datafusion::prelude::SessionContext;
use model::{Attributes, LogRecord, Resource, Seq, Span, SpanId, TimeRange, TraceId, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use query::schema::Table;

use super::*;
use crate::columns::logical::logical_column;
use crate::columns::{OpenRows, arbitrary, encode, to_items};
use crate::error::{QueryError, StoreError};
use crate::index::BLOCK_ROWS;
use crate::search::{
    HistogramBucket, HistogramStep, LogHistogram, LogPage, LogSearch, LogValues, Order, SqlLimits,
};
use crate::split::tests::written;
use crate::split::{RowGroup, Split, SplitSource};

mod counts;
mod exploration;

type Rows = Vec<(Seq, LogRecord)>;

const BOUNDS: QueryBounds = QueryBounds {
    timeout: Duration::from_secs(60),
    memory_bytes: 64 << 20,
};

const WORDS: [&str; 6] = ["disk", "full", "Node", "retry", "timeout_ms", "ärger"];

fn trace(n: u8) -> TraceId {
    TraceId::from_bytes(&[n; 16]).unwrap()
}

/// Records from a small world, in which random queries find something.
fn record() -> impl Strategy<Value = LogRecord> {
    let body = prop_oneof![
        8 => vec(0..WORDS.len(), 0..4).prop_map(|words| {
            let words: Vec<&str> = words.into_iter().map(|word| WORDS[word]).collect();
            Value::from(words.join(" "))
        }),
        1 => Just(Value::Empty),
        1 => Just(Value::Map(vec![("disk".to_owned(), Value::Int(7))])),
        2 => prop::sample::select(&["[ERROR] disk", "level=debug full", "full WARN"][..])
            .prop_map(Value::from),
    ];
    let severity = prop_oneof![2 => 0..25, 1 => Just(0)];
    let value = prop_oneof![
        (0..3_i64).prop_map(Value::Int),
        "[ab]{1,2}".prop_map(Value::from),
        Just(Value::Array(vec![Value::from("a")])),
        Just(Value::Double(1.5)),
    ];
    let attributes = vec(("[kl]", value), 0..3);
    let service = proptest::option::of("[xy]");
    let ids = (proptest::option::of(1..4_u8), any::<bool>());
    (0..40_i64, severity, body, attributes, service, ids).prop_map(
        |(time, severity, body, attributes, service, (id, has_span))| {
            let mut record = arbitrary::plain_log(time);
            record.severity_number = severity;
            record.body = body;
            record.attributes = Attributes(attributes);
            record.trace_id = id.map(trace);
            record.span_id = id
                .filter(|_| has_span)
                .map(|id| SpanId::from_bytes(&[id; 8]).unwrap());
            let service = service.map(|name| ("service.name".to_owned(), Value::from(name)));
            record.resource = Arc::new(Resource {
                attributes: Attributes(service.into_iter().collect()),
                ..Resource::default()
            });
            record
        },
    )
}

/// Queries of every construct, over the same world.
fn query() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (0..WORDS.len()).prop_map(|word| WORDS[word].to_owned()),
        Just("absent".to_owned()),
        Just("\"disk full\"".to_owned()),
        Just("ti*".to_owned()),
        Just("body:\"full node\"".to_owned()),
        "[kl]:[0-2]",
        "attr\\.[kl]:(a|b|ab)",
        "[kl]:a\\*",
        "[kl]:(>|>=|<|<=)[0-2]",
        "service:[xyz]",
        Just("service:unknown_service".to_owned()),
        "severity:(error|info|debug)",
        "severity:>=(warn|error)",
        "level:(unset|warn|\\*)",
        "severity_number:<1[0-9]",
        (1..5_u8).prop_map(|id| format!("trace_id:{}", trace(id))),
        (1..5_u8).prop_map(|id| trace(id).to_string()),
        (1..5_u8).prop_map(|id| const_hex::encode([id; 8])),
        "[kl]:\\*",
        "timestamp:>=[0-3][0-9]",
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) AND ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) OR ({b})")),
            inner.prop_map(|a| format!("NOT ({a})")),
        ]
    })
}

async fn split_of(groups: &[Rows]) -> Arc<Split> {
    let groups: Vec<Arc<RowGroup>> = groups
        .iter()
        .map(|rows| Arc::new(RowGroup::build(rows).unwrap()))
        .collect();
    let bytes = Bytes::from(written(&groups).0);
    Arc::new(
        Split::open("logs/x.parquet", SplitSource::Memory(bytes))
            .await
            .unwrap(),
    )
}

/// The rows in two splits, row groups of a head and open rows.
async fn snapshot_of(rows: &Rows) -> Snapshot {
    let quarter = rows.len().div_ceil(4).max(1);
    let mut parts = rows.chunks(quarter).map(<[_]>::to_vec);
    let mut snapshot = Snapshot::default();
    for _ in 0..2 {
        if let Some(part) = parts.next() {
            let groups: Vec<Rows> = part.chunks(3).map(<[_]>::to_vec).collect();
            let split = OpenedSplit::new(split_of(&groups).await).unwrap();
            snapshot.splits.push(Arc::new(split));
        }
    }
    if let Some(part) = parts.next() {
        for group in part.chunks(4) {
            snapshot
                .row_groups
                .push(Arc::new(RowGroup::build(group).unwrap()));
        }
    }
    let mut open: OpenRows<LogRecord> = OpenRows::new();
    parts.for_each(|part| open.append(to_items(&part)));
    snapshot.open = open.snapshot();
    snapshot
}

/// The seqs of the matching rows in order, found by checking the filter on every row.
fn naive(rows: &Rows, query: &str, range: TimeRange, order: Order) -> Vec<Seq> {
    let filter = query::search::compile(query, 0).unwrap();
    let schema = Table::Logs.schema(&filter.keys);
    let items = to_items(rows);
    let physical = encode::<LogRecord>(&items.iter().collect::<Vec<_>>()).unwrap();
    let columns = schema
        .fields()
        .iter()
        .map(|field| logical_column(field, &physical).unwrap());
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
    let df_schema = DFSchema::try_from(schema).unwrap();
    let predicate = SessionContext::new()
        .create_physical_expr(filter.expr, &df_schema)
        .unwrap();
    let mask = predicate
        .evaluate(&batch)
        .unwrap()
        .into_array(rows.len())
        .unwrap();
    let mask = mask.as_boolean();
    let mut found: Vec<(i64, Seq)> = rows
        .iter()
        .enumerate()
        .filter(|(row, _)| mask.is_valid(*row) && mask.value(*row))
        .filter(|(_, (_, record))| range.contains(record.timestamp))
        .map(|(_, (seq, record))| (record.timestamp, *seq))
        .collect();
    found.sort_unstable();
    if order == Order::Newest {
        found.reverse();
    }
    found.into_iter().map(|(_, seq)| seq).collect()
}

fn search(query: &str, limit: usize) -> LogSearch {
    LogSearch {
        range: TimeRange::ALL,
        query: query.to_owned(),
        limit,
        order: Order::Newest,
        cursor: None,
    }
}

fn seqs(page: &LogPage) -> Vec<Seq> {
    page.records.iter().map(|found| found.seq).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

fn numbered(records: Vec<LogRecord>) -> Rows {
    let number = |(index, record)| (Seq::new(1 + index as u64 / 7, index as u32 % 7), record);
    records.into_iter().enumerate().map(number).collect()
}

fn count_of(batches: &[RecordBatch]) -> i64 {
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_search_finds_what_a_naive_scan_finds(
        records in vec(record(), 0..40),
        query in query(),
        limit in 1..9_usize,
        (start, end) in (0..45_i64, 0..45_i64),
        newest in any::<bool>(),
    ) {
        let rows = numbered(records);
        let order = if newest { Order::Newest } else { Order::Oldest };
        let range = TimeRange::new(start.min(end), start.max(end));
        let expected = naive(&rows, &query, range, order);
        runtime().block_on(async {
            let snapshot = snapshot_of(&rows).await;
            let mut request = LogSearch { range, order, ..search(&query, limit) };
            let mut found = Vec::new();
            loop {
                let page = search_logs(&snapshot, &request, &BOUNDS, 0).await.unwrap();
                prop_assert!(page.records.len() <= limit);
                for record in &page.records {
                    let stored = rows.iter().find(|(seq, _)| *seq == record.seq).unwrap();
                    let (_, stored) = arbitrary::stored_log(stored.clone());
                    prop_assert_eq!(&record.record, &stored);
                }
                found.extend(seqs(&page));
                request.cursor = page.cursor;
                if request.cursor.is_none() {
                    break;
                }
            }
            prop_assert_eq!(&found, &expected, "{}", query);

            let histogram = LogHistogram {
                range,
                query: query.clone(),
                step: HistogramStep::Width(Duration::from_nanos(7)),
                by: vec!["severity".to_owned(), "service".to_owned()],
                groups: 3,
            };
            let page = log_histogram(Arc::new(snapshot), &histogram, &BOUNDS, 0).await.unwrap();
            let of_bucket = |b: &HistogramBucket| b.counts.values().sum::<u64>() + b.other;
            let total: u64 = page.buckets.iter().map(of_bucket).sum();
            prop_assert_eq!(total, expected.len() as u64);
            for bucket in &page.buckets {
                let inside = |seq: &&Seq| {
                    let (_, record) = rows.iter().find(|(other, _)| other == *seq).unwrap();
                    (bucket.start..bucket.start + 7).contains(&record.timestamp)
                };
                let count = bucket.counts.values().sum::<u64>() + bucket.other;
                prop_assert_eq!(count, expected.iter().filter(inside).count() as u64);
            }
            Ok(())
        })?;
    }
}

fn limits() -> SqlLimits {
    SqlLimits {
        timeout: Duration::from_secs(60),
        memory_bytes: 64 << 20,
        max_rows: 1000,
    }
}

async fn sql(rows: &Rows, text: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let logs = Arc::new(snapshot_of(rows).await);
    let spans = Arc::new(Snapshot::default());
    run_sql(logs, spans, Vec::new(), text, &limits())
        .await
        .map(|(_, batches)| batches)
}

fn simple_rows(count: i64) -> Rows {
    let record = |n: i64| {
        let mut record = arbitrary::plain_log(n);
        record.attributes.0 = vec![
            ("route".to_owned(), Value::from(format!("/r/{}", n % 3))),
            ("ms".to_owned(), Value::Int(n)),
        ];
        record
    };
    numbered((0..count).map(record).collect())
}

#[tokio::test]
async fn sql_reads_every_part_of_a_snapshot() {
    let rows = simple_rows(60);
    let all = sql(&rows, "SELECT count(*) FROM logs").await.unwrap();
    assert_eq!(count_of(&all), 60);
    let some = "SELECT count(*) FROM logs WHERE attributes['route'] = '/r/1' \
                AND number(attributes['ms']) >= 30 AND body LIKE 'message%'";
    assert_eq!(count_of(&sql(&rows, some).await.unwrap()), 10);
    let newest = "SELECT seq FROM logs ORDER BY timestamp DESC LIMIT 3";
    let batches = sql(&rows, newest).await.unwrap();
    let seqs: Vec<i64> = batches[0]
        .column(0)
        .as_primitive::<Int64Type>()
        .values()
        .to_vec();
    let expected: Vec<i64> = rows
        .iter()
        .rev()
        .take(3)
        .map(|(seq, _)| seq.as_i64())
        .collect();
    assert_eq!(seqs, expected);
    let grouped = "SELECT attributes['route'] AS route, count(*) AS n FROM logs \
                   GROUP BY route ORDER BY route";
    let batches = sql(&rows, grouped).await.unwrap();
    assert_eq!(
        batches[0].column(1).as_primitive::<Int64Type>().values(),
        &[20, 20, 20]
    );
    assert!(sql(&rows, "SELECT * FROM spans").await.unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_table_is_named_as_the_query_does() {
    let error = sql(&simple_rows(1), "SELECT * FROM metrics").await;
    let Err(QueryError::Invalid { message, hint, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(message, "table 'metrics' not found");
    assert_eq!(hint.as_deref(), Some("the tables are logs and spans"));
}

#[tokio::test]
async fn sql_only_reads_and_only_so_much() {
    let rows = simple_rows(20);
    for bad in [
        "DROP TABLE logs",
        "INSERT INTO logs SELECT * FROM logs",
        "CREATE TABLE x AS SELECT 1",
        "COPY logs TO '/tmp/x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM nowhere",
        "SELEC 1",
    ] {
        let err = sql(&rows, bad).await.unwrap_err();
        assert!(matches!(err, QueryError::Invalid { .. }), "{bad}: {err:?}");
    }
    let many = "SELECT a.seq FROM logs a CROSS JOIN logs b CROSS JOIN logs c";
    let err = sql(&rows, many).await.unwrap_err();
    assert!(matches!(err, QueryError::LimitExceeded(_)), "{err:?}");
}

#[tokio::test]
async fn logql_reads_every_part_of_a_snapshot() {
    use query::logql::{Answer, Direction, Limits, RangeRequest, query_range};
    let snapshot = Arc::new(snapshot_of(&simple_rows(60)).await);
    let logs = SnapshotLogs::new(snapshot, BOUNDS);
    let request = RangeRequest {
        start: 0,
        end: 1000,
        step: 1_000_000_000,
        limit: 5,
        direction: Direction::Backward,
    };
    let text = r#"{service_name="unknown_service"} |= "message" | route="/r/1""#;
    let outcome = query_range(&logs, text, request, Limits::default())
        .await
        .unwrap();
    let Answer::Lines(lines) = outcome.answer else {
        panic!("expected lines, got {:?}", outcome.answer);
    };
    let times: Vec<i64> = lines.iter().map(|line| line.timestamp).collect();
    assert_eq!(times, [58, 55, 52, 49, 46]);
    assert!(logs.stats().read(Duration::ZERO).rows_scanned > 0);
}

#[tokio::test]
async fn a_top_reaches_the_scan() {
    let snapshot = Arc::new(snapshot_of(&simple_rows(20)).await);
    let text = "EXPLAIN SELECT body FROM logs ORDER BY timestamp DESC, seq DESC LIMIT 5";
    let session = super::session::session(&BOUNDS).unwrap();
    let keys = query::schema::Keys::default();
    let table = LogicalTable::new(Table::Logs, &keys, snapshot, Arc::default());
    session.register_table("logs", Arc::new(table)).unwrap();
    let batches = session.sql(text).await.unwrap().collect().await.unwrap();
    let plan = batches[0].column(1).as_string::<i32>();
    let plan: Vec<&str> = (0..plan.len()).map(|row| plan.value(row)).collect();
    assert!(plan.concat().contains("top=5 Newest"), "{plan:?}");
}

/// A day of records in one split of eight row groups, with one needle.
fn haystack() -> Vec<Rows> {
    let group = |group: i64| -> Rows {
        let record = |n: i64| {
            let number = group * 3 * BLOCK_ROWS as i64 + n;
            let mut record = arbitrary::plain_log(number);
            let word = if number == 20_000 {
                "ledgerdesync"
            } else {
                "fine"
            };
            record.body = Value::from(format!("request {} was {word}", number % 100));
            record.trace_id = TraceId::from_bytes(&(number as u128 + 1).to_be_bytes()).ok();
            let service = if n % 50 == 0 { "billing" } else { "gateway" };
            record.resource = Arc::new(Resource {
                attributes: [("service.name", service)].into_iter().collect(),
                ..Resource::default()
            });
            (Seq::new(number as u64 + 1, 0), record)
        };
        (0..3 * BLOCK_ROWS as i64).map(record).collect()
    };
    (0..8).map(group).collect()
}

#[tokio::test]
async fn a_needle_is_found_in_one_block() {
    let split = OpenedSplit::new(split_of(&haystack()).await).unwrap();
    let snapshot = Snapshot {
        splits: vec![Arc::new(split)],
        ..Snapshot::default()
    };
    let page = search_logs(&snapshot, &search("ledgerdesync", 100), &BOUNDS, 0)
        .await
        .unwrap();
    assert_eq!(page.records.len(), 1);
    assert_eq!(
        (page.stats.blocks_total, page.stats.blocks_scanned),
        (24, 1)
    );

    // Sorted by stream, the rare service lies in one block of each row group.
    let billing = search("service:billing AND request", 10_000);
    let page = search_logs(&snapshot, &billing, &BOUNDS, 0).await.unwrap();
    assert_eq!(page.records.len(), 8 * (3 * BLOCK_ROWS).div_ceil(50));
    assert_eq!(page.stats.blocks_scanned, 8);

    let id = TraceId::from_bytes(&12_345_u128.to_be_bytes()).unwrap();
    let page = search_logs(&snapshot, &search(&id.to_string(), 10), &BOUNDS, 0)
        .await
        .unwrap();
    assert_eq!(page.records.len(), 1);
    assert_eq!(page.stats.blocks_scanned, 1);

    // The newest rows are all in the last row group: the others are never read.
    let page = search_logs(&snapshot, &search("", 10), &BOUNDS, 0)
        .await
        .unwrap();
    assert_eq!(page.stats.blocks_scanned, 3);
    assert_eq!(page.stats.splits, 1);
}

#[tokio::test]
async fn severity_and_numbers_use_the_index() {
    let record = |n: i64| {
        let mut record = arbitrary::plain_log(n);
        let is_bad = n / 2048 == 5;
        record.severity_number = if is_bad { 17 } else { 9 };
        record.attributes.0 = vec![(
            "status".to_owned(),
            Value::Int(if is_bad { 503 } else { 200 }),
        )];
        record
    };
    let rows = numbered((0..8 * 2048).map(record).collect());
    let split = OpenedSplit::new(split_of(&[rows]).await).unwrap();
    let snapshot = Snapshot {
        splits: vec![Arc::new(split)],
        ..Snapshot::default()
    };
    for query in [
        "severity:>=error",
        "status:>=500",
        "status:503",
        "attr.status:5*",
    ] {
        let page = search_logs(&snapshot, &search(query, 5000), &BOUNDS, 0)
            .await
            .unwrap();
        assert_eq!(page.records.len(), 2048, "{query}");
        assert_eq!(page.stats.blocks_scanned, 1, "{query}");
    }
}

#[tokio::test]
async fn levels_that_texts_state_use_the_index() {
    let record = |n: i64| {
        let mut record = arbitrary::plain_log(n);
        record.severity_number = 0;
        match n / 2048 {
            5 => record.body = Value::from(format!("[ERROR] disk {n}")),
            6 if n % 2 == 0 => record.body = Value::from(format!("level=info disk {n}")),
            _ => {}
        }
        record
    };
    let rows = numbered((0..8 * 2048).map(record).collect());
    let split = OpenedSplit::new(split_of(&[rows]).await).unwrap();
    let snapshot = Snapshot {
        splits: vec![Arc::new(split)],
        ..Snapshot::default()
    };
    for (query, records, blocks) in [
        ("severity:>=error", 2048, 1),
        ("severity:info", 1024, 1),
        ("severity:*", 2048 + 1024, 2),
        ("severity:fatal", 0, 0),
        // Records without a number lie in every block.
        ("severity:unset", 6 * 2048 + 1024, 8),
        ("severity_number:0", 8 * 2048, 8),
    ] {
        let page = search_logs(&snapshot, &search(query, 20_000), &BOUNDS, 0)
            .await
            .unwrap();
        assert_eq!(page.records.len(), records, "{query}");
        assert_eq!(page.stats.blocks_scanned, blocks, "{query}");
    }
    let values = LogValues {
        range: TimeRange::ALL,
        query: String::new(),
        field: "severity".to_owned(),
        prefix: String::new(),
        limit: 10,
    };
    let page = log_values(&snapshot, &values, &BOUNDS, 0).await.unwrap();
    let found: Vec<&str> = page
        .values
        .iter()
        .map(|(value, _)| value.as_str())
        .collect();
    assert_eq!(found, ["error", "info", "unset"]);
    // Only where some texts state a level and the dictionary cannot say that all do.
    assert_eq!(page.stats.blocks_scanned, 2);
    assert!(page.exact);
}

#[tokio::test]
async fn damage_makes_a_search_partial_and_sql_fail() {
    let rows = simple_rows(12);
    let groups: Vec<Arc<RowGroup>> = [&rows[..6], &rows[6..]]
        .iter()
        .map(|rows| Arc::new(RowGroup::build(*rows).unwrap()))
        .collect();
    let mut bytes = written(&groups).0;
    bytes[40] ^= 1;
    let source = SplitSource::Memory(Bytes::from(bytes));
    let split = Arc::new(Split::open("logs/bad.parquet", source).await.unwrap());
    let snapshot = Arc::new(Snapshot {
        splits: vec![Arc::new(OpenedSplit::new(split).unwrap())],
        ..Snapshot::default()
    });
    let page = search_logs(&snapshot, &search("", 100), &BOUNDS, 0)
        .await
        .unwrap();
    assert_eq!(page.records.len(), 6);
    assert!(page.partial);
    assert!(
        page.warnings[0].contains("logs/bad.parquet is damaged"),
        "{:?}",
        page.warnings
    );

    let text = "SELECT * FROM logs";
    let spans = Arc::new(Snapshot::default());
    let result = run_sql(snapshot, spans, Vec::new(), text, &limits()).await;
    let err = result.unwrap_err();
    assert!(
        matches!(err, QueryError::Store(StoreError::Damaged { .. })),
        "{err:?}"
    );
}

#[tokio::test]
async fn pages_stay_whole_while_data_arrives() {
    let mut rows = simple_rows(10);
    let first = search_logs(&snapshot_of(&rows).await, &search("", 4), &BOUNDS, 0)
        .await
        .unwrap();
    // Newer records, and one as old as the page's end but later in the log.
    for (index, time) in [100, 101, 6].into_iter().enumerate() {
        rows.push((Seq::new(50 + index as u64, 0), arbitrary::plain_log(time)));
    }
    let next = LogSearch {
        cursor: first.cursor,
        ..search("", 4)
    };
    let second = search_logs(&snapshot_of(&rows).await, &next, &BOUNDS, 0)
        .await
        .unwrap();
    let times: Vec<i64> = second
        .records
        .iter()
        .map(|found| found.record.timestamp)
        .collect();
    assert_eq!(times, [5, 4, 3, 2]);
}

#[tokio::test]
async fn a_bad_query_says_where() {
    let snapshot = Snapshot::default();
    let err = search_logs(&snapshot, &search("a AND (b", 1), &BOUNDS, 0)
        .await
        .unwrap_err();
    assert!(
        matches!(
            err,
            QueryError::Invalid {
                position: Some(_),
                ..
            }
        ),
        "{err:?}"
    );
    let bad_cursor = LogSearch {
        cursor: Some("x".to_owned()),
        ..search("", 1)
    };
    let err = search_logs(&snapshot, &bad_cursor, &BOUNDS, 0)
        .await
        .unwrap_err();
    assert!(err.to_string().contains("\"x\" is no cursor"), "{err}");
}

#[tokio::test]
async fn a_trace_is_found_in_every_part() {
    let span = |n: i64, id: u8| {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let tree = arbitrary::span().new_tree(&mut runner).unwrap();
        let mut span = proptest::strategy::ValueTree::current(&tree);
        span.trace_id = trace(id);
        span.start = n;
        (Seq::new(n as u64 + 1, 0), span)
    };
    let group = |times: std::ops::Range<i64>| {
        let rows: Vec<_> = times.map(|n| span(n, 1 + (n % 3) as u8)).collect();
        Arc::new(RowGroup::build(&rows).unwrap())
    };
    let bytes = Bytes::from(written(&[group(0..9), group(9..12)]).0);
    let split = Split::open("spans/x.parquet", SplitSource::Memory(bytes))
        .await
        .unwrap();
    let mut open: OpenRows<Span> = OpenRows::new();
    let rows: Vec<_> = (15..20).map(|n| span(n, 1 + (n % 3) as u8)).collect();
    open.append(to_items(&rows));
    let snapshot = Snapshot {
        open: open.snapshot(),
        row_groups: vec![group(12..15)],
        splits: vec![Arc::new(OpenedSplit::new(Arc::new(split)).unwrap())],
        ..Snapshot::default()
    };
    let page = find_trace(&snapshot, trace(2), TimeRange::ALL, &BOUNDS)
        .await
        .unwrap();
    let starts: Vec<i64> = page.spans.iter().map(|(_, span)| span.start).collect();
    assert_eq!(starts, [1, 4, 7, 10, 13, 16, 19]);
    assert!(!page.partial);
    let none = find_trace(&snapshot, trace(9), TimeRange::ALL, &BOUNDS)
        .await
        .unwrap();
    assert!(none.spans.is_empty());
}
