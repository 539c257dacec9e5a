//! Counts by the lists of values that files have, against counts row by row.

use std::collections::BTreeMap;

use arrow::compute::concat_batches;

use super::*;
use crate::search::LogFacets;

/// Rows of three row groups and of none, whose `user` is a text in two of three, then numbers and texts
/// by turns, then a resource's, then always the same.
fn users() -> [Rows; 4] {
    const GROUP: i64 = 3 * BLOCK_ROWS as i64;
    let record = |n: i64| {
        let mut record = arbitrary::plain_log(n);
        record.severity_number = if n % 10 == 0 { 17 } else { 9 };
        record.body = Value::from(format!("request {} was served", n % 7));
        let user = Value::from(format!("u{}", n % 97));
        let (own, of_resource) = match n / GROUP {
            0 => ((n % 3 > 0).then_some(user), None),
            1 if n % 2 == 0 => (Some(Value::Int(n % 5)), None),
            1 => (Some(user), None),
            2 => (None, (n % 2 == 0).then(|| Value::from("shared"))),
            _ => (Some(Value::from("u1")), None),
        };
        let own = own.into_iter().map(|user| ("user".to_owned(), user));
        record.attributes = Attributes(own.collect());
        let of_resource = of_resource.into_iter();
        record.resource = Arc::new(Resource {
            attributes: Attributes(of_resource.map(|user| ("user".to_owned(), user)).collect()),
            ..Resource::default()
        });
        (Seq::new(n as u64 + 1, 0), record)
    };
    let ends = [0, GROUP, 2 * GROUP, 3 * GROUP, 3 * GROUP + 10];
    let groups = ends.windows(2);
    let groups: Vec<Rows> = groups
        .map(|of| (of[0]..of[1]).map(record).collect())
        .collect();
    groups.try_into().expect("four of five ends")
}

/// A split, a row group of a head and open rows.
async fn snapshot_of_users() -> Snapshot {
    let [first, second, third, last] = users();
    let mut snapshot = Snapshot::default();
    let split = OpenedSplit::new(split_of(&[first, second]).await).unwrap();
    snapshot.splits.push(Arc::new(split));
    snapshot
        .row_groups
        .push(Arc::new(RowGroup::build(&third).unwrap()));
    let mut open: OpenRows<LogRecord> = OpenRows::new();
    open.append(to_items(&last));
    snapshot.open = open.snapshot();
    snapshot
}

fn text(record: &LogRecord, of_resource: bool) -> Option<String> {
    let attributes = match of_resource {
        true => &record.resource.attributes,
        false => &record.attributes,
    };
    let (_, value) = attributes.iter().find(|(key, _)| *key == "user")?;
    query::text::text_of(value).map(|text| text.into_owned())
}

/// How many of the records that pass have each value.
fn counts(
    passes: impl Fn(&LogRecord) -> bool,
    value: impl Fn(&LogRecord) -> Option<String>,
) -> BTreeMap<Option<String>, u64> {
    let mut counts = BTreeMap::new();
    for (_, record) in users()
        .iter()
        .flatten()
        .filter(|(_, record)| passes(record))
    {
        *counts.entry(value(record)).or_default() += 1;
    }
    counts
}

/// The same of each `user` of a record's own.
fn counts_of_users(passes: impl Fn(&LogRecord) -> bool) -> BTreeMap<Option<String>, u64> {
    counts(passes, |record| text(record, false))
}

#[tokio::test]
async fn sql_counts_groups_by_the_lists_of_values() {
    type Passes = fn(&LogRecord) -> bool;
    let cases: [(&str, Passes); 7] = [
        ("true", |_| true),
        ("attributes['user'] IS NOT NULL", |record| {
            text(record, false).is_some()
        }),
        ("attributes['user'] IS NULL", |record| {
            text(record, false).is_none()
        }),
        ("attributes['user'] LIKE 'u1%'", |record| {
            text(record, false).is_some_and(|user| user.starts_with("u1"))
        }),
        ("service <> 'nobody'", |_| true),
        ("severity_number > 9", |record| record.severity_number > 9),
        (
            "body LIKE '%request 3%' AND attributes['user'] <> 'u2'",
            |record| {
                record.body == Value::from("request 3 was served")
                    && text(record, false).is_some_and(|user| user != "u2")
            },
        ),
    ];
    let logs = Arc::new(snapshot_of_users().await);
    for (condition, passes) in cases {
        let query = format!(
            "SELECT attributes['user'] AS u, count(*) FROM logs WHERE {condition} GROUP BY u"
        );
        let spans = Arc::new(Snapshot::default());
        let (_, batches) = run_sql(Arc::clone(&logs), spans, Vec::new(), &query, &limits())
            .await
            .unwrap();
        let mut found = BTreeMap::new();
        for batch in &batches {
            let users = batch.column(0).as_string::<i32>().iter();
            let rows = batch.column(1).as_primitive::<Int64Type>().values();
            for (user, rows) in users.zip(rows) {
                let before = found.insert(user.map(str::to_owned), *rows as u64);
                assert_eq!(before, None, "{condition}: {user:?} comes twice");
            }
        }
        assert_eq!(found, counts_of_users(passes), "{condition}");
    }
}

#[tokio::test]
async fn columns_that_are_never_null_are_counted_too() {
    let logs = Arc::new(snapshot_of_users().await);
    let query = "SELECT service, count(*) FROM logs WHERE service LIKE 'u%' GROUP BY service";
    let spans = Arc::new(Snapshot::default());
    let (schema, counted) = run_sql(logs, spans, Vec::new(), query, &limits())
        .await
        .unwrap();
    let batch = concat_batches(&schema, &counted).unwrap();
    assert_eq!(
        batch.column(0).as_string::<i32>().value(0),
        "unknown_service"
    );
    let rows = batch.column(1).as_primitive::<Int64Type>().values();
    assert_eq!(rows, &[users().iter().map(Vec::len).sum::<usize>() as i64]);
}

#[tokio::test]
async fn what_takes_counts_from_several_sides_gets_them() {
    let logs = Arc::new(snapshot_of_users().await);
    let counts = "(SELECT attributes['user'] AS u, count(*) AS n FROM logs GROUP BY u)";
    let query =
        format!("SELECT count(*) FROM {counts} a JOIN {counts} b ON a.u = b.u AND a.n = b.n");
    let spans = Arc::new(Snapshot::default());
    let joined = run_sql(logs, spans, Vec::new(), &query, &limits()).await;
    let values = counts_of_users(|_| true).into_keys().flatten().count();
    assert_eq!(count_of(&joined.unwrap().1), values as i64);
}

#[tokio::test]
async fn only_counts_of_rows_are_taken_from_the_lists() {
    let snapshot = Arc::new(snapshot_of_users().await);
    let sql = query::sql::read("SELECT attributes['user'] FROM logs").unwrap();
    let user = "\"attr.user\"";
    let cases = [
        (format!("{user}, count(*)"), user, true),
        (format!("{user}, count(1)"), user, true),
        (format!("{user}, count({user})"), user, false),
        (format!("{user}, count(DISTINCT body)"), user, false),
        (format!("{user}, count(*), max(seq)"), user, false),
        ("seq, count(*)".to_owned(), "seq", false),
    ];
    for (selected, group, expected) in cases {
        let session = super::session::session(&BOUNDS).unwrap();
        let table = LogicalTable::new(
            Table::Logs,
            &sql.keys,
            Arc::clone(&snapshot),
            Arc::default(),
        );
        session.register_table("logs", Arc::new(table)).unwrap();
        let text = format!("EXPLAIN SELECT {selected} FROM logs GROUP BY {group}");
        let batches = session.sql(&text).await.unwrap().collect().await.unwrap();
        let plan = batches[0].column(1).as_string::<i32>();
        let plan: String = plan.iter().flatten().collect();
        assert_eq!(
            plan.contains("GroupCountExec"),
            expected,
            "{selected}: {plan}"
        );
    }
}

#[tokio::test]
async fn facets_count_by_the_lists_of_values() {
    let either = |record: &LogRecord| text(record, false).or_else(|| text(record, true));
    type Passes = fn(&LogRecord) -> bool;
    let cases: [(&str, Passes); 3] = [
        ("", |_| true),
        ("severity:>=error", |record| record.severity_number >= 17),
        ("user:u1", |record| {
            text(record, false).is_some_and(|user| user == "u1")
        }),
    ];
    let snapshot = snapshot_of_users().await;
    for (query, passes) in cases {
        let facets = LogFacets {
            range: TimeRange::ALL,
            query: query.to_owned(),
            fields: vec!["user".to_owned(), "resource.user".to_owned()],
            limit: 1_000,
        };
        let page = log_facets(&snapshot, &facets, &BOUNDS, 0).await.unwrap();
        let of_resource = |record: &LogRecord| text(record, true);
        let expected = [counts(passes, either), counts(passes, of_resource)];
        for ((field, top), mut expected) in page.facets.into_iter().zip(expected) {
            let missing = expected.remove(&None).unwrap_or_default();
            assert_eq!(top.missing, missing, "{query}: {field}");
            let found = top.values.into_iter();
            let found: BTreeMap<_, _> = found.map(|(user, rows)| (Some(user), rows)).collect();
            assert_eq!(found, expected, "{query}: {field}");
        }
    }
}
