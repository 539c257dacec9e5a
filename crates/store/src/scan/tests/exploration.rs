//! Facets, names, values, surroundings, exports and patterns against a naive reading of the same
//! rows.

use std::collections::{BTreeMap, BTreeSet};

use model::log::severity_name;
use query::severity::level_number;
use query::text::text_of;

use super::*;
use crate::columns::Row;
use crate::search::{
    FieldKind, FieldType, LogContext, LogExport, LogFacets, LogFields, LogPatterns, RecordId,
};

/// The matching records, oldest first.
fn matching<'a>(rows: &'a Rows, query: &str, range: TimeRange) -> Vec<&'a (Seq, LogRecord)> {
    let found = naive(rows, query, range, Order::Oldest);
    let row = |seq: Seq| rows.iter().find(|(other, _)| *other == seq).unwrap();
    found.into_iter().map(row).collect()
}

/// A field's text, for the fields of these tests.
fn field_text(record: &LogRecord, field: &str) -> Option<String> {
    let of = |attributes: &Attributes, key: &str| {
        attributes
            .get(key)
            .and_then(text_of)
            .map(|text| text.into_owned())
    };
    match field {
        "severity" => Some(severity_name(level_number(record)).to_owned()),
        "service" => Some(record.resource.service().to_owned()),
        "trace_id" => record.trace_id.map(|id| id.to_string()),
        key => of(&record.attributes, key).or_else(|| of(&record.resource.attributes, key)),
    }
}

const FIELDS: [&str; 6] = ["severity", "service", "k", "l", "trace_id", "service.name"];

async fn all_pages(snapshot: Snapshot, export: &LogExport) -> Vec<Seq> {
    let mut pages = RecordPages::new(snapshot, export, BOUNDS, 0).unwrap();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        found.extend(page.iter().map(|found| found.seq));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn counts_and_exports_are_those_of_a_naive_scan(
        records in vec(record(), 0..40),
        query in query(),
        (start, end) in (0..45_i64, 0..45_i64),
        newest in any::<bool>(),
        limit in proptest::option::of(0..20_u64),
    ) {
        let rows = numbered(records);
        let range = TimeRange::new(start.min(end), start.max(end));
        let order = if newest { Order::Newest } else { Order::Oldest };
        let expected = matching(&rows, &query, range);
        runtime().block_on(async {
            let snapshot = snapshot_of(&rows).await;
            let facets = LogFacets {
                range,
                query: query.clone(),
                fields: FIELDS.map(str::to_owned).into(),
                limit: 2,
            };
            let page = log_facets(&snapshot, &facets, &BOUNDS, 0).await.unwrap();
            for (field, top) in &page.facets {
                let mut counts: BTreeMap<String, u64> = BTreeMap::new();
                let mut missing = 0;
                for (_, record) in &expected {
                    match field_text(record, field) {
                        Some(text) => *counts.entry(text).or_default() += 1,
                        None => missing += 1,
                    }
                }
                let mut sorted: Vec<(String, u64)> = counts.into_iter().collect();
                sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                let other: u64 = sorted.iter().skip(2).map(|(_, count)| count).sum();
                prop_assert_eq!(top.distinct, sorted.len() as u64, "{}", field);
                sorted.truncate(2);
                prop_assert_eq!(&top.values, &sorted, "{}", field);
                prop_assert_eq!((top.other, top.missing), (other, missing), "{}", field);

                let values = LogValues {
                    range,
                    query: query.clone(),
                    field: field.clone(),
                    prefix: String::new(),
                    limit: 100,
                };
                let page = log_values(&snapshot, &values, &BOUNDS, 0).await.unwrap();
                let found: BTreeSet<&str> = page.values.iter().map(|(text, _)| text.as_str()).collect();
                let texts: Vec<String> =
                    expected.iter().filter_map(|(_, record)| field_text(record, field)).collect();
                let texts: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
                prop_assert_eq!(found, texts, "{} {}", field, query);
                prop_assert!(page.exact);
            }

            let export = LogExport { range, query: query.clone(), order, limit };
            let mut seqs: Vec<Seq> = expected.iter().map(|(seq, _)| *seq).collect();
            if newest {
                seqs.reverse();
            }
            seqs.truncate(limit.unwrap_or(u64::MAX) as usize);
            prop_assert_eq!(all_pages(snapshot, &export).await, seqs);
            Ok(())
        })?;
    }

    #[test]
    fn names_values_and_neighbours_are_those_of_a_naive_scan(
        records in vec(record(), 1..40),
        (start, end) in (0..45_i64, 0..45_i64),
        prefix in prop_oneof![Just(""), Just("a"), Just("0"), Just("x")],
        middle in any::<proptest::sample::Index>(),
        (before, after) in (0..4_usize, 0..4_usize),
    ) {
        let rows = numbered(records);
        let range = TimeRange::new(start.min(end), start.max(end));
        runtime().block_on(async {
            let snapshot = snapshot_of(&rows).await;
            for field in FIELDS {
                let values = LogValues {
                    range,
                    query: String::new(),
                    field: field.to_owned(),
                    prefix: prefix.to_owned(),
                    limit: 3,
                };
                let page = log_values(&snapshot, &values, &BOUNDS, 0).await.unwrap();
                let expected: BTreeSet<String> = rows
                    .iter()
                    .filter(|(_, record)| range.contains(record.timestamp))
                    .filter_map(|(_, record)| field_text(record, field))
                    .filter(|text| text.starts_with(prefix))
                    .collect();
                let found: Vec<&String> = page.values.iter().map(|(text, _)| text).collect();
                let first: Vec<&String> = expected.iter().take(3).collect();
                prop_assert_eq!(found, first, "{}", field);
                prop_assert_eq!(page.exact, expected.len() <= 3, "{}", field);
            }

            let fields = LogFields {
                range,
                query: String::new(),
                prefix: String::new(),
                limit: 1000,
            };
            let page = log_fields(&snapshot, &fields, &BOUNDS, 0).await.unwrap();
            let found: BTreeSet<&str> = page
                .fields
                .iter()
                .filter(|field| field.kind == FieldKind::Attribute)
                .map(|field| field.name.as_str())
                .collect();
            let keys = |inside: bool| -> BTreeSet<&str> {
                rows.iter()
                    .filter(|(_, record)| !inside || range.contains(record.timestamp))
                    .flat_map(|(_, record)| record.attributes.iter().map(|(key, _)| key))
                    .collect()
            };
            prop_assert!(found.is_superset(&keys(true)), "{:?}", found);
            prop_assert!(found.is_subset(&keys(false)), "{:?}", found);

            let (seq, record) = middle.get(&rows);
            let mut stream: Vec<(i64, Seq)> = rows
                .iter()
                .filter(|(_, other)| other.resource == record.resource)
                .map(|(seq, other)| (other.timestamp, *seq))
                .collect();
            stream.sort_unstable();
            let place = stream.binary_search(&(record.timestamp, *seq)).unwrap();
            let mut context = LogContext {
                id: RecordId { timestamp: record.timestamp, seq: *seq },
                before,
                after,
                before_cursor: None,
                after_cursor: None,
            };
            let page = log_context(&snapshot, &context, &BOUNDS).await.unwrap().unwrap();
            let ids = |records: &[crate::FoundRecord]| -> Vec<(i64, Seq)> {
                records.iter().map(|found| (found.record.timestamp, found.seq)).collect()
            };
            prop_assert_eq!(page.record.seq, *seq);
            prop_assert_eq!(ids(&page.before), &stream[place.saturating_sub(before)..place]);
            let behind = &stream[place + 1..];
            prop_assert_eq!(ids(&page.after), &behind[..after.min(behind.len())]);

            // Cursors lead to the ends of the stream.
            let (mut all_before, mut all_after) = (ids(&page.before), ids(&page.after));
            (context.before, context.after) = (3, 3);
            (context.before_cursor, context.after_cursor) = (page.before_cursor, page.after_cursor);
            while context.before_cursor.is_some() || context.after_cursor.is_some() {
                context.before = 3 * usize::from(context.before_cursor.is_some());
                context.after = 3 * usize::from(context.after_cursor.is_some());
                let page = log_context(&snapshot, &context, &BOUNDS).await.unwrap().unwrap();
                all_before.splice(0..0, ids(&page.before));
                all_after.extend(ids(&page.after));
                context.before_cursor = page.before_cursor.filter(|_| context.before > 0);
                context.after_cursor = page.after_cursor.filter(|_| context.after > 0);
            }
            prop_assert_eq!(all_before, &stream[..place]);
            prop_assert_eq!(all_after, behind);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn types_are_named_and_overflow_keys_too() {
    let mut rows = simple_rows(40);
    for (index, (_, record)) in rows.iter_mut().enumerate() {
        let odd = index % 2 == 1;
        let mixed = if odd { Value::from("x") } else { Value::Int(1) };
        record.attributes.0.push(("mixed".to_owned(), mixed));
        record
            .attributes
            .0
            .push(("flag".to_owned(), Value::Bool(odd)));
        record
            .attributes
            .0
            .push(("list".to_owned(), Value::Array(vec![])));
    }
    let snapshot = snapshot_of(&rows).await;
    let fields = |query: &str, prefix: &str, limit| LogFields {
        range: TimeRange::ALL,
        query: query.to_owned(),
        prefix: prefix.to_owned(),
        limit,
    };
    let page = log_fields(&snapshot, &fields("", "", 1000), &BOUNDS, 0)
        .await
        .unwrap();
    let types = |name: &str| -> Vec<FieldType> {
        let mut named = page.fields.iter().filter(|field| field.name == name);
        named
            .next()
            .unwrap_or_else(|| panic!("no {name}"))
            .types
            .clone()
    };
    assert_eq!(types("ms"), [FieldType::Integer]);
    assert_eq!(types("route"), [FieldType::Text]);
    assert_eq!(types("flag"), [FieldType::Boolean]);
    assert_eq!(types("list"), [FieldType::Mixed]);
    assert_eq!(types("mixed"), [FieldType::Text, FieldType::Integer]);
    assert_eq!(types("severity_number"), [FieldType::Integer]);
    assert!(!page.truncated);

    let page = log_fields(&snapshot, &fields("", "m", 1), &BOUNDS, 0)
        .await
        .unwrap();
    assert_eq!((page.fields.len(), page.truncated), (1, true));
    assert_eq!(page.fields[0].name, "mixed");
}

fn only_splits(split: Arc<Split>) -> Snapshot {
    Snapshot {
        splits: vec![Arc::new(OpenedSplit::new(split).unwrap())],
        ..Snapshot::default()
    }
}

#[tokio::test]
async fn completion_reads_dictionaries_instead_of_rows() {
    let snapshot = only_splits(split_of(&haystack()).await);
    let values = |field: &str, prefix: &str, range| LogValues {
        range,
        query: String::new(),
        field: field.to_owned(),
        prefix: prefix.to_owned(),
        limit: 10,
    };
    let all = TimeRange::ALL;
    for (field, prefix, expected) in [
        ("service", "", &["billing", "gateway"][..]),
        ("service", "g", &["gateway"]),
        ("severity", "", &["info"]),
        ("resource.service.name", "b", &["billing"]),
        ("absent", "", &[]),
    ] {
        let page = log_values(&snapshot, &values(field, prefix, all), &BOUNDS, 0)
            .await
            .unwrap();
        let found: Vec<&str> = page
            .values
            .iter()
            .map(|(value, _)| value.as_str())
            .collect();
        assert_eq!(found, expected, "{field}");
        assert_eq!(page.stats.rows_scanned, 0, "{field}");
        assert!(page.exact, "{field}");
    }
    // The ends of a range are read, the blocks outside of it are not.
    let some = TimeRange::new(0, 10);
    let page = log_values(&snapshot, &values("service", "", some), &BOUNDS, 0)
        .await
        .unwrap();
    assert_eq!(page.values.len(), 2);
    assert!(
        page.exact && page.stats.blocks_scanned <= 2,
        "{:?}",
        page.stats
    );
    // Identifiers are in no dictionary.
    let page = log_values(&snapshot, &values("trace_id", "", all), &BOUNDS, 0)
        .await
        .unwrap();
    assert_eq!((page.values.len(), page.exact), (10, false));
    assert!(page.stats.rows_scanned > 0);
}

#[tokio::test]
async fn a_few_neighbours_cost_a_few_blocks() {
    let snapshot = only_splits(split_of(&haystack()).await);
    let context = LogContext {
        id: RecordId {
            timestamp: 20_000,
            seq: Seq::new(20_001, 0),
        },
        before: 5,
        after: 5,
        before_cursor: None,
        after_cursor: None,
    };
    let page = log_context(&snapshot, &context, &BOUNDS)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(page.before.len() + page.after.len(), 10);
    assert!(page.stats.blocks_scanned <= 8, "{:?}", page.stats);
    let unknown = LogContext {
        id: RecordId {
            timestamp: 20_000,
            seq: Seq::new(7, 7),
        },
        ..context
    };
    assert!(
        log_context(&snapshot, &unknown, &BOUNDS)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn an_export_checks_a_row_about_once() {
    let haystack = haystack();
    let total: usize = haystack.iter().map(Vec::len).sum();
    let snapshot = only_splits(split_of(&haystack).await);
    let export = LogExport {
        range: TimeRange::ALL,
        query: String::new(),
        order: Order::Oldest,
        limit: None,
    };
    let mut pages = RecordPages::new(snapshot, &export, BOUNDS, 0).unwrap();
    let (mut found, mut largest) = (Vec::new(), 0);
    while let Some(page) = pages.next().await.unwrap() {
        largest = largest.max(
            page.iter()
                .map(|found| found.record.size_bytes())
                .sum::<usize>(),
        );
        found.extend(page.into_iter().map(|found| found.seq));
    }
    assert_eq!(found.len(), total);
    assert!(found.is_sorted());
    assert!(largest < 4 << 20, "{largest} bytes");
}

#[tokio::test]
async fn damage_ends_an_export() {
    let rows = simple_rows(12);
    let mut bytes = written(&[Arc::new(RowGroup::build(&rows).unwrap())]).0;
    bytes[40] ^= 1;
    let source = SplitSource::Memory(Bytes::from(bytes));
    let split = Arc::new(Split::open("logs/bad.parquet", source).await.unwrap());
    let export = LogExport {
        range: TimeRange::ALL,
        query: String::new(),
        order: Order::Newest,
        limit: None,
    };
    let mut pages = RecordPages::new(only_splits(split), &export, BOUNDS, 0).unwrap();
    let err = pages.next().await.unwrap_err();
    assert!(
        matches!(err, QueryError::Store(StoreError::Damaged { .. })),
        "{err:?}"
    );
}

#[tokio::test]
async fn patterns_are_counted_and_compared() {
    let record = |n: i64| {
        let mut record = arbitrary::plain_log(n);
        let kind = if n < 50 { n % 2 } else { n % 3 };
        record.severity_number = if kind == 2 { 0 } else { 9 };
        record.body = Value::from(match kind {
            0 => format!("GET /item/{n} took {n}ms"),
            1 => format!("user u{n} logged in"),
            _ => format!("ERROR: connection to db{n} lost"),
        });
        record
    };
    let rows = numbered((0..110).map(record).collect());
    let snapshot = snapshot_of(&rows).await;
    let patterns = LogPatterns {
        range: TimeRange::new(50, 110),
        query: String::new(),
        limit: 10,
        compare: Some(TimeRange::new(0, 50)),
    };
    let page = log_patterns(&snapshot, &patterns, &BOUNDS, 0)
        .await
        .unwrap();
    assert_eq!((page.records, page.baseline_records), (60, Some(50)));
    assert!(!page.sampled && !page.partial);
    let found: Vec<(&str, u64, Option<u64>, &str)> = page
        .patterns
        .iter()
        .map(|p| {
            (
                p.pattern.as_str(),
                p.count,
                p.baseline,
                p.change.unwrap().as_str(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("GET <_> took <_>", 20, Some(25), "same"),
            ("user <_> logged in", 20, Some(25), "same"),
            ("ERROR: connection to <_> lost", 20, Some(0), "new"),
        ]
    );
    let lost = &page.patterns[2];
    assert_eq!(lost.severity, BTreeMap::from([("error", 20)]));
    assert_eq!(lost.times, Some((50, 107)));
    assert_eq!(lost.samples.len(), 3);
    for sample in &lost.samples {
        let body = text_of(&sample.record.body).unwrap();
        assert!(body.starts_with("ERROR: connection to db"), "{body}");
    }
    let only = LogPatterns {
        query: "severity:error".to_owned(),
        compare: None,
        limit: 1,
        ..patterns
    };
    let page = log_patterns(&snapshot, &only, &BOUNDS, 0).await.unwrap();
    assert_eq!(
        (page.records, page.distinct, page.patterns.len()),
        (20, 1, 1)
    );
    assert_eq!(page.patterns[0].change, None);
}

#[tokio::test]
async fn many_groups_of_a_histogram_become_other() {
    let snapshot = Arc::new(snapshot_of(&simple_rows(60)).await);
    let histogram = LogHistogram {
        range: TimeRange::new(0, 60),
        query: String::new(),
        step: HistogramStep::Width(Duration::from_nanos(30)),
        by: vec!["route".to_owned()],
        groups: 2,
    };
    let page = log_histogram(snapshot, &histogram, &BOUNDS, 0)
        .await
        .unwrap();
    for bucket in &page.buckets {
        let groups: Vec<&str> = bucket.counts.keys().map(String::as_str).collect();
        assert_eq!(groups, ["/r/0", "/r/1"]);
        assert_eq!(bucket.other, 10);
    }
}
