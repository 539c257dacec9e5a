//! Pages and histograms over a table in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use model::{Attributes, LogRecord, Resource, Scope, Seq, TimeRange, Value};
use proptest::prelude::*;
use query::plans::{Cursor, HistogramPlan, Order, SearchPlan, log_histogram, log_search};
use query::schema::Keys;
use query::search::{compile, group_value};

use crate::table;

fn record(timestamp: i64, severity: i32) -> LogRecord {
    LogRecord {
        timestamp,
        observed_timestamp: 0,
        severity_number: severity,
        severity_text: String::new(),
        body: Value::from("x"),
        attributes: Attributes::from_iter([("k", severity.to_string())]),
        dropped_attributes_count: 0,
        trace_id: None,
        span_id: None,
        flags: 0,
        event_name: String::new(),
        resource: Arc::new(Resource::default()),
        scope: Arc::new(Scope::default()),
    }
}

async fn page(
    session: &SessionContext,
    order: Order,
    limit: usize,
    after: Option<Cursor>,
) -> Vec<Cursor> {
    let input = session.table("logs").await.unwrap().into_unoptimized_plan();
    let search = SearchPlan {
        filter: compile("", 0).unwrap().expr,
        range: TimeRange::ALL,
        order: Some(order),
        limit: Some(limit),
        after,
        columns: vec!["seq".to_owned(), "timestamp".to_owned()],
    };
    let plan = log_search(input, search).unwrap();
    let frame = session.execute_logical_plan(plan).await.unwrap();
    let batches = frame.collect().await.unwrap();
    batches
        .iter()
        .flat_map(|batch| {
            let seq = batch.column(0).as_primitive::<Int64Type>().values();
            let time = batch
                .column(1)
                .as_primitive::<datafusion::arrow::datatypes::TimestampNanosecondType>()
                .values();
            time.iter()
                .zip(seq.iter())
                .map(|(&timestamp, &seq)| Cursor { timestamp, seq })
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn pages_put_together_are_the_whole_in_order(
        times in prop::collection::vec(0_i64..6, 0..20),
        limit in 1_usize..7,
        newest in any::<bool>(),
    ) {
        let order = if newest { Order::Newest } else { Order::Oldest };
        let records: Vec<LogRecord> = times.iter().map(|time| record(*time, 9)).collect();
        let mut expected: Vec<Cursor> = times
            .iter()
            .enumerate()
            .map(|(index, time)| Cursor {
                timestamp: *time,
                seq: Seq::new(1, index as u32).as_i64(),
            })
            .collect();
        expected.sort_by_key(|row| (row.timestamp, row.seq));
        if newest {
            expected.reverse();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(async {
            let session = table::session(&records, &Keys::default());
            let mut read: Vec<Cursor> = Vec::new();
            loop {
                let rows = page(&session, order, limit, read.last().copied()).await;
                if rows.is_empty() {
                    return read;
                }
                read.extend(rows);
            }
        });
        prop_assert_eq!(read, expected);
    }
}

#[tokio::test]
async fn a_histogram_counts_by_bucket_and_values() {
    let records: Vec<LogRecord> = [(10, 9), (11, 9), (19, 17), (20, 0), (39, 24), (40, 9)]
        .map(|(time, severity)| record(time, severity))
        .into();
    let mut keys = Keys::default();
    let by = ["severity", "k"].map(|field| group_value(field).unwrap());
    for value in &by {
        keys.extend(Keys::of(value));
    }
    let session = table::session(&records, &keys);
    let input = session.table("logs").await.unwrap().into_unoptimized_plan();
    let histogram = HistogramPlan {
        filter: compile("x", 0).unwrap().expr,
        range: TimeRange::new(10, 40),
        origin: 10,
        step: 10,
        by: by.into(),
    };
    let plan = log_histogram(input, histogram).unwrap();
    let frame = session.execute_logical_plan(plan).await.unwrap();
    let mut counts = BTreeMap::new();
    for batch in frame.collect().await.unwrap() {
        for row in 0..batch.num_rows() {
            let key = (
                batch.column(0).as_primitive::<Int64Type>().value(row),
                batch.column(1).as_string::<i32>().value(row).to_owned(),
                batch.column(2).as_string::<i32>().value(row).to_owned(),
            );
            counts.insert(key, batch.column(3).as_primitive::<Int64Type>().value(row));
        }
    }
    let expected = [
        (0, "error", "17", 1),
        (0, "info", "9", 2),
        (1, "unset", "0", 1),
        (2, "fatal", "24", 1),
    ];
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|(bucket, severity, k, count)| ((bucket, severity.to_owned(), k.to_owned()), count))
        .collect();
    assert_eq!(counts, expected);
}
