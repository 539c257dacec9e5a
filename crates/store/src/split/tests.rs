//! Splits as a whole: what is written is read, and damage is never another answer.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type};
use bytes::Bytes;
use futures::TryStreamExt;
use futures::executor::block_on;
use model::{LogRecord, Seq, Span, Value};
use parquet::arrow::arrow_reader::RowSelection;
use proptest::collection::vec;
use proptest::prelude::*;
use query::schema;

use super::*;
use crate::columns::logical::logical_column;
use crate::columns::{MAX_PROMOTED, Row, arbitrary, decode};
use crate::error::StoreError;
use crate::head::SplitSummary;
use crate::index::BLOCK_ROWS;

type Placed<R> = Vec<(Seq, R)>;

fn groups_of<R: Row>(groups: Vec<Vec<R>>) -> (Placed<R>, Vec<Arc<RowGroup>>) {
    let mut all = Vec::new();
    let mut encoded = Vec::new();
    for (position, rows) in groups.into_iter().enumerate() {
        let number = |(ordinal, row)| (Seq::new(position as u64, ordinal as u32), row);
        let rows: Vec<(Seq, R)> = rows.into_iter().enumerate().map(number).collect();
        encoded.push(Arc::new(RowGroup::build(&rows).unwrap()));
        all.extend(rows);
    }
    (all, encoded)
}

/// A split's bytes, and what the catalog keeps of it.
pub(crate) fn written(groups: &[Arc<RowGroup>]) -> (Vec<u8>, SplitSummary) {
    let mut bytes = Vec::new();
    let summary = write(groups, &mut bytes).unwrap();
    (bytes, summary)
}

fn open(bytes: Vec<u8>) -> Result<Split, StoreError> {
    let source = SplitSource::Memory(Bytes::from(bytes));
    block_on(Split::open("logs/x.parquet", source))
}

fn read_all<R: Row>(split: &Split) -> Result<Placed<R>, StoreError> {
    let file = split.file();
    let columns: Vec<usize> = (0..file.schema().fields().len()).collect();
    let mut rows = Vec::new();
    for group in 0..file.row_groups() {
        let stream = file.read(group, &columns, 1000);
        let batches: Vec<_> = block_on(stream.try_collect())?;
        let batch = concat_batches(file.schema(), &batches).unwrap();
        rows.extend(decode::<R>(&batch).unwrap());
    }
    rows.sort_by_key(|(seq, _)| *seq);
    Ok(rows)
}

fn many_logs(count: usize) -> Vec<LogRecord> {
    let record = |n: usize| {
        let mut record = arbitrary::plain_log(n as i64 * 1000);
        record.body = Value::from(format!("request {n} took {} ms", n % 50));
        record.attributes.0 = vec![
            ("route".to_owned(), Value::from(format!("/r/{}", n % 7))),
            ("user".to_owned(), Value::Int(n as i64)),
        ];
        record.trace_id = model::TraceId::from_bytes(&(n as u128 + 1).to_be_bytes()).ok();
        record
    };
    (0..count).map(record).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn log_records_survive_a_split(groups in vec(vec(arbitrary::log(), 1..5), 1..4)) {
        let (rows, groups) = groups_of(groups);
        let (bytes, summary) = written(&groups);
        let split = open(bytes).unwrap();
        let expected: Vec<_> = rows.into_iter().map(arbitrary::stored_log).collect();
        prop_assert_eq!(summary.rows, expected.len() as u64);
        prop_assert_eq!(read_all::<LogRecord>(&split).unwrap(), expected);
    }

    #[test]
    fn spans_survive_a_split(groups in vec(vec(arbitrary::span(), 1..5), 1..4)) {
        let (rows, groups) = groups_of(groups);
        let bytes = written(&groups).0;
        let source = SplitSource::Memory(Bytes::from(bytes.clone()));
        block_on(verify("spans/x.parquet", source)).unwrap();
        let split = open(bytes).unwrap();
        let expected: Vec<_> = rows.into_iter().map(arbitrary::stored_span).collect();
        prop_assert_eq!(read_all::<Span>(&split).unwrap(), expected);
    }
}

/// Splits of these row groups, and one made of them.
fn merged<R: Row>(splits: Vec<Vec<Vec<R>>>, full_rows: usize) -> (Placed<R>, Vec<u8>, MergedSplit) {
    let mut all = Vec::new();
    let mut opened = Vec::new();
    let mut position = 0;
    for groups in splits {
        let mut encoded = Vec::new();
        for rows in groups {
            let number = |(ordinal, row)| (Seq::new(position, ordinal as u32), row);
            let rows: Placed<R> = rows.into_iter().enumerate().map(number).collect();
            encoded.push(Arc::new(RowGroup::build(&rows).unwrap()));
            all.extend(rows);
            position += 1;
        }
        opened.push(Arc::new(open(written(&encoded).0).unwrap()));
    }
    let mut bytes = Vec::new();
    let merged = merge(&opened, full_rows, &mut bytes, &|| false).unwrap();
    assert_eq!(merged.copied.rows + merged.encoded.rows, all.len() as u64);
    assert_eq!(merged.summary.rows, all.len() as u64);
    (all, bytes, merged)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn merged_splits_keep_every_log_record(
        splits in vec(vec(vec(arbitrary::log(), 1..5), 1..3), 1..4),
        full_rows in 1_usize..20,
    ) {
        let (rows, bytes, _) = merged(splits, full_rows);
        block_on(verify("x", SplitSource::Memory(Bytes::from(bytes.clone())))).unwrap();
        let expected: Vec<_> = rows.into_iter().map(arbitrary::stored_log).collect();
        prop_assert_eq!(read_all::<LogRecord>(&open(bytes).unwrap()).unwrap(), expected);
    }

    #[test]
    fn merged_splits_keep_every_span(
        splits in vec(vec(vec(arbitrary::span(), 1..5), 1..3), 1..4),
        full_rows in 1_usize..20,
    ) {
        let (rows, bytes, _) = merged(splits, full_rows);
        block_on(verify("x", SplitSource::Memory(Bytes::from(bytes.clone())))).unwrap();
        let expected: Vec<_> = rows.into_iter().map(arbitrary::stored_span).collect();
        prop_assert_eq!(read_all::<Span>(&open(bytes).unwrap()).unwrap(), expected);
    }
}

/// The levels that a split's records count as, in the order of their seqs.
fn levels_of(split: &Split) -> Vec<i32> {
    let file = split.file();
    let columns: Vec<usize> = (0..file.schema().fields().len()).collect();
    let field = Field::new(schema::LEVEL_NUMBER, DataType::Int32, false);
    let mut levels: Vec<(i64, i32)> = Vec::new();
    for group in 0..file.row_groups() {
        let stream = file.read(group, &columns, 1000);
        let batches: Vec<_> = block_on(stream.try_collect()).unwrap();
        for batch in batches {
            let level = logical_column(&field, &batch).unwrap();
            let seqs = batch.column_by_name(schema::SEQ).unwrap();
            let seqs = seqs.as_primitive::<Int64Type>().values().iter().copied();
            let level = level.as_primitive::<Int32Type>().values().iter().copied();
            levels.extend(seqs.zip(level));
        }
    }
    levels.sort_unstable();
    levels.into_iter().map(|(_, level)| level).collect()
}

#[test]
fn stated_levels_survive_where_only_some_row_groups_have_them() {
    let stated = |count: usize| {
        let mut records = many_logs(count);
        for (n, record) in records.iter_mut().enumerate() {
            record.severity_number = 0;
            if n % 3 == 0 {
                record.body = Value::from("[ERROR] disk full");
            }
        }
        records
    };
    // Copied beside one without, copied alone, and sorted together with one without.
    let splits = [
        vec![many_logs(120), stated(130)],
        vec![stated(110), many_logs(7)],
        vec![many_logs(9), stated(5)],
    ];
    for parts in [&splits[..], &splits[..1], &splits[2..]] {
        let (rows, bytes, _) = merged(parts.to_vec(), 100);
        block_on(verify("x", SplitSource::Memory(Bytes::from(bytes.clone())))).unwrap();
        let expected: Vec<i32> = rows
            .iter()
            .map(|(_, record)| query::severity::level_number(record))
            .collect();
        assert!(expected.contains(&17) && expected.contains(&0) && expected.contains(&9));
        let split = open(bytes).unwrap();
        assert_eq!(levels_of(&split), expected);
        assert_eq!(read_all::<LogRecord>(&split).unwrap(), rows);
    }
    let (_, bytes, _) = merged(vec![vec![many_logs(5)]], 100);
    let columns = open(bytes).unwrap().file().schema().clone();
    assert!(columns.index_of("severity_in_text").is_err());
}

#[test]
fn full_row_groups_are_copied_byte_for_byte() {
    let full = BLOCK_ROWS + 100;
    let splits = vec![
        vec![many_logs(full), many_logs(30)],
        vec![many_logs(full), many_logs(40)],
    ];
    let (_, bytes, merged) = merged(splits.clone(), full);
    assert_eq!(
        (merged.copied.rows, merged.encoded.rows),
        (2 * full as u64, 70)
    );
    let merged = open(bytes).unwrap();
    let rows: Vec<usize> = (0..3).map(|group| merged.file().rows(group)).collect();
    assert_eq!(rows, [full, full, 70]);

    let (_, groups) = groups_of(vec![splits[0][0].clone()]);
    let alone = open(written(&groups).0).unwrap();
    for (leaf, column) in alone
        .file()
        .parquet()
        .row_group(0)
        .columns()
        .iter()
        .enumerate()
    {
        let copy = merged.file().parquet().row_group(0).column(leaf);
        let bytes = |split: &Split, (start, length): (u64, u64)| {
            block_on(split.file().checked(start..start + length)).unwrap()
        };
        let same = bytes(&alone, column.byte_range()) == bytes(&merged, copy.byte_range());
        assert!(same, "{}", column.column_path());
    }
}

#[test]
fn a_merged_split_keeps_its_column_limit_and_every_value() {
    let group = |first: usize| -> Vec<LogRecord> {
        let with_key = |n: usize| {
            let mut record = arbitrary::plain_log(n as i64);
            let key = format!("key{:03}", first + n % 80);
            record.attributes.0 = vec![(key, Value::Int(n as i64))];
            record
        };
        (0..160).map(with_key).collect()
    };
    // Full row groups, of which two have columns without room.
    let splits = vec![vec![group(0)], vec![group(80)], vec![group(160)]];
    let (rows, bytes, merged) = merged(splits, 200);
    assert!(
        merged.encoded.rows > 0 && merged.copied.rows > 0,
        "{merged:?}"
    );
    let split = open(bytes).unwrap();
    let fields = split.file().schema().fields().iter();
    let promoted = fields.filter(|field| field.name().starts_with("attr."));
    assert_eq!(promoted.count(), MAX_PROMOTED);
    assert_eq!(read_all::<LogRecord>(&split).unwrap(), rows);
}

#[test]
fn damage_anywhere_in_a_split_keeps_it_from_being_merged_or_changes_nothing() {
    let (rows, groups) = groups_of(vec![many_logs(60), many_logs(3)]);
    let whole = written(&groups).0;
    let mut refused = 0;
    for position in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[position] ^= 1 << (position % 8);
        let result = open(damaged).and_then(|split| {
            let mut bytes = Vec::new();
            merge(&[Arc::new(split)], 63, &mut bytes, &|| false)?;
            read_all::<LogRecord>(&open(bytes)?)
        });
        match result {
            Ok(found) => assert!(found == rows, "byte {position} of {}", whole.len()),
            Err(err) => {
                assert!(
                    matches!(&err, StoreError::Damaged { file, .. } if file == "logs/x.parquet"),
                    "{err}"
                );
                refused += 1;
            }
        }
    }
    assert!(
        refused >= whole.len() / 7 - 1,
        "{refused} of {}",
        whole.len() / 7
    );
}

#[test]
fn a_merge_that_is_told_to_stop_stops() {
    let (_, groups) = groups_of(vec![many_logs(5)]);
    let split = Arc::new(open(written(&groups).0).unwrap());
    let stopped = merge(&[split], 10, Vec::new(), &|| true).unwrap_err();
    assert!(matches!(stopped, StoreError::ShuttingDown), "{stopped}");
}

#[test]
fn pages_are_blocks_and_their_times_prune() {
    let (_, groups) = groups_of(vec![many_logs(3 * BLOCK_ROWS + 10), many_logs(5)]);
    let (bytes, summary) = written(&groups);
    let bytes = Bytes::from(bytes);
    let verified = block_on(verify("x", SplitSource::Memory(bytes.clone()))).unwrap();
    assert_eq!((verified.row_groups, verified.blocks), (2, 5));

    let split = open(bytes.to_vec()).unwrap();
    let file = split.file();
    assert_eq!((file.blocks(0), file.blocks(1)), (0..4, 4..5));
    let second = (BLOCK_ROWS as i64 + 3) * 1000;
    let blocks = file.blocks_in(0, model::TimeRange::new(second, second + 1));
    assert_eq!((blocks.count(), blocks.contains(1)), (1, true));
    let last = (3 * BLOCK_ROWS as i64 + 9) * 1000;
    assert_eq!((summary.min_time, summary.max_time), (0, last));

    let held = 7_u128.to_be_bytes();
    let absent = u128::MAX.to_be_bytes();
    assert!(block_on(file.may_hold_id(0, "trace_id", &held)).unwrap());
    assert!(!block_on(file.may_hold_id(0, "trace_id", &absent)).unwrap());
}

#[test]
fn a_split_of_many_keys_keeps_its_column_limit_and_every_value() {
    let group = |first: usize| -> Vec<LogRecord> {
        let with_key = |n: usize| {
            let mut record = arbitrary::plain_log(n as i64);
            let key = format!("key{:03}", first + n % 80);
            record.attributes.0 = vec![(key, Value::Int(n as i64))];
            record
        };
        (0..160).map(with_key).collect()
    };
    let (rows, groups) = groups_of(vec![group(0), group(80), group(160)]);
    let split = open(written(&groups).0).unwrap();
    let fields = split.file().schema().fields().iter();
    let promoted = fields.filter(|field| field.name().starts_with("attr."));
    assert_eq!(promoted.count(), MAX_PROMOTED);
    assert_eq!(read_all::<LogRecord>(&split).unwrap(), rows);
}

#[test]
fn a_key_whose_types_differ_between_row_groups_keeps_both() {
    let with = |value: Value| {
        let mut record = arbitrary::plain_log(1);
        record.attributes.0 = vec![("code".to_owned(), value)];
        vec![record]
    };
    let (rows, groups) = groups_of(vec![with(Value::Int(5)), with(Value::from("five"))]);
    let split = open(written(&groups).0).unwrap();
    for name in ["attr.code", "attr.code:string"] {
        assert!(
            split.file().schema().field_with_name(name).is_ok(),
            "{name}"
        );
    }
    assert_eq!(read_all::<LogRecord>(&split).unwrap(), rows);
}

/// Everything a query can learn from a split.
fn everything(bytes: Vec<u8>) -> Result<(Placed<LogRecord>, Vec<bool>), StoreError> {
    let split = open(bytes)?;
    let mut may_hold = Vec::new();
    for group in 0..split.file().row_groups() {
        for id in [1_u128, 40, u128::MAX] {
            let id = id.to_be_bytes();
            may_hold.push(block_on(split.file().may_hold_id(group, "trace_id", &id))?);
        }
    }
    let index = block_on(split.index())?;
    assert!(index.terms_of(0..split.blocks()).is_ok());
    Ok((read_all(&split)?, may_hold))
}

#[test]
fn a_flipped_bit_anywhere_is_an_error_or_changes_nothing() {
    let (_, groups) = groups_of(vec![many_logs(60), many_logs(3)]);
    let whole = written(&groups).0;
    let expected = everything(whole.clone()).unwrap();
    let mut refused = 0;
    for position in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[position] ^= 1 << (position % 8);
        match everything(damaged) {
            Ok(found) => assert!(found == expected, "byte {position} of {}", whole.len()),
            Err(err) => {
                assert!(err.to_string().contains("logs/x.parquet"), "{err}");
                refused += 1;
            }
        }
    }
    // Only Parquet's first four bytes are read by nobody.
    assert_eq!(refused, whole.len() - 4);
}

#[test]
fn a_truncated_split_is_an_error() {
    let (_, groups) = groups_of(vec![many_logs(5)]);
    let whole = written(&groups).0;
    for length in (0..whole.len()).step_by(97) {
        assert!(open(whole[..length].to_vec()).is_err(), "{length}");
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let (_, groups) = groups_of(vec![many_logs(1)]);
    let mut bytes = written(&groups).0;
    let beginning = b"{\"format\":1";
    let at = bytes.windows(beginning.len()).rposition(|w| w == beginning);
    bytes[at.unwrap() + beginning.len() - 1] = b'2';
    let err = open(bytes).unwrap_err();
    assert!(
        matches!(err, StoreError::NewerFormat { found: 2, .. }),
        "{err}"
    );
}
/// What another implementation of Parquet prints of a split.
const READ_WITH_PYARROW: &str = r#"
import json, sys
import pyarrow.parquet as parquet
table = parquet.read_table(sys.argv[1])
rows = table.select(["body", "service", "attr.route", "attr.user"]).slice(0, 3).to_pydict()
rows["timestamp"] = table["timestamp"].slice(0, 3).cast("int64").to_pylist()
rows["trace_id"] = [id.hex() for id in table["trace_id"].slice(0, 3).to_pylist()]
print(json.dumps({"rows": table.num_rows, "first": rows}))
"#;

#[test]
fn pyarrow_reads_a_split() {
    let python = std::env::var("WATCHKEEPER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_pyarrow = std::process::Command::new(&python)
        .args(["-c", "import pyarrow.parquet"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_pyarrow {
        println!("skipped: {python} has no pyarrow; .ci/run installs it");
        return;
    }
    let (_, groups) = groups_of(vec![many_logs(3000), many_logs(5)]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs.parquet");
    std::fs::write(&path, written(&groups).0).unwrap();
    let output = std::process::Command::new(&python)
        .args(["-c", READ_WITH_PYARROW])
        .arg(&path)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        read,
        serde_json::json!({
            "rows": 3005,
            "first": {
                "timestamp": [0, 1000, 2000],
                "body": ["request 0 took 0 ms", "request 1 took 1 ms", "request 2 took 2 ms"],
                "service": ["unknown_service", "unknown_service", "unknown_service"],
                "attr.route": ["/r/0", "/r/1", "/r/2"],
                "attr.user": [0, 1, 2],
                "trace_id": [format!("{:032x}", 1), format!("{:032x}", 2), format!("{:032x}", 3)],
            }
        })
    );
}

/// 6,145 rows: three full blocks, and one row.
static FOUR_BLOCKS: LazyLock<Split> = LazyLock::new(|| {
    let (_, groups) = groups_of(vec![many_logs(3 * BLOCK_ROWS + 1)]);
    open(written(&groups).0).unwrap()
});

/// Compares what is read of `selected` rows, with a cache and without, with what a filter leaves of
/// all rows.
fn check_selection(selected: &[bool]) {
    static CACHE: LazyLock<Arc<BlockCache>> = LazyLock::new(|| Arc::new(BlockCache::new(1 << 20)));
    let file = FOUR_BLOCKS.file();
    let columns: Vec<usize> = (0..file.schema().fields().len()).collect();
    let all: Vec<RecordBatch> = block_on(file.read(0, &columns, 5000).try_collect()).unwrap();
    let all = concat_batches(file.schema(), &all).unwrap();
    let mask = BooleanArray::from(selected.to_vec());
    // Every third column, so that others are in the cache for some blocks only.
    let some: Vec<usize> = (columns.iter().copied().step_by(3)).collect();
    for cache in [CACHE.for_query(), Arc::default()] {
        for columns in [&some, &columns] {
            let expected = filter_record_batch(&all.project(columns).unwrap(), &mask).unwrap();
            let selection = RowSelection::from_filters(std::slice::from_ref(&mask));
            // Blocks that are asked for again are read another way.
            for _ in 0..2 {
                let found = file.read_selected(0, columns, selection.clone(), 3000, &cache);
                let found: Vec<RecordBatch> = block_on(found.try_collect()).unwrap();
                for batch in &found {
                    assert!(batch.num_rows() > 0 && batch.num_rows() <= 3000);
                }
                let found = concat_batches(expected.schema_ref(), &found).unwrap();
                assert_eq!(found, expected);
            }
        }
    }
}

#[test]
fn what_is_kept_of_a_block_is_not_decoded_again() {
    let file = FOUR_BLOCKS.file();
    let seq = file.schema().index_of(schema::SEQ).unwrap();
    let cache = Arc::new(BlockCache::new(1 << 24)).for_query();
    let first_of = |block: usize| {
        let first = (0..3 * BLOCK_ROWS + 1).map(|row| row == block * BLOCK_ROWS);
        let selection = RowSelection::from_filters(&[first.collect::<Vec<_>>().into()]);
        let read = file.read_selected(0, &[seq], selection, BLOCK_ROWS, &cache);
        let read: Vec<RecordBatch> = block_on(read.try_collect()).unwrap();
        read[0].column(0).as_primitive::<Int64Type>().value(0)
    };
    let (first, second) = (first_of(0), first_of(1));
    // What only the cache has shows whence it is read.
    let place = block_cache::BlockColumn {
        file: file.number(),
        group: 0,
        block: 0,
        column: seq,
    };
    let other: ArrayRef = Arc::new(Int64Array::from(vec![!first; BLOCK_ROWS]));
    cache.keep(place, &other);
    assert_eq!((first_of(0), first_of(1)), (!first, second));
}

#[test]
fn selected_rows_are_read_whatever_lies_between_them() {
    let rows = 3 * BLOCK_ROWS + 1;
    let of = |is_selected: &dyn Fn(usize) -> bool| (0..rows).map(is_selected).collect::<Vec<_>>();
    for selected in [
        of(&|_| false),
        of(&|_| true),
        of(&|row| row % 2 == 0),
        of(&|row| row == 0 || row == rows - 1),
        of(&|row| [3, 9, 20, 31, 60].contains(&row)),
        // Runs that are short with the rows behind the last one only, a block left out.
        of(&|row| row < 190 && row % 2 == 1 || row == rows - 2),
        of(&|row| row / 32 % 2 == 0 && row / BLOCK_ROWS != 1),
    ] {
        check_selection(&selected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn selections_of_any_runs_are_read(
        runs in vec((1..70_usize, 1..70_usize), 1..80),
        gap in 0..4000_usize,
    ) {
        let mut selected = Vec::new();
        for (index, (skipped, taken)) in runs.into_iter().enumerate() {
            let gap = if index == 1 { gap } else { 0 };
            selected.extend(std::iter::repeat_n(false, skipped + gap));
            selected.extend(std::iter::repeat_n(true, taken));
        }
        selected.resize(3 * BLOCK_ROWS + 1, false);
        check_selection(&selected);
    }
}
