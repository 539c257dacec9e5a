//! The names of the fields that records have: from schemas, dictionaries and overflows, without
//! reading a row of any split.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, AsArray, RecordBatch};
use model::Value;
use query::schema::{VirtualColumn, virtual_column};

use super::filter::Filter;
use super::matches::LogFilter;
use super::pieces::{Tolerance, blocks_of, internal};
use super::session::{QueryBounds, within};
use super::snapshot::{Snapshot, SplitHandle};
use super::stats::{OnDamage, ScanStats};
use crate::columns::{ColumnType, Family, Promotion, names, overflow_attributes};
use crate::error::{QueryError, StoreError};
use crate::index::{BlockLookup, BlockSet, Terms};
use crate::search::{FieldKind, FieldName, FieldPage, FieldType, LogFields};
use crate::split::ParquetFile;

/// The columns of `logs` that the search syntax knows by name.
const COLUMNS: [(&str, FieldType); 12] = [
    ("body", FieldType::Text),
    ("event_name", FieldType::Text),
    ("observed_timestamp", FieldType::Text),
    ("scope_name", FieldType::Text),
    ("scope_version", FieldType::Text),
    ("service", FieldType::Text),
    ("severity", FieldType::Text),
    ("severity_number", FieldType::Integer),
    ("severity_text", FieldType::Text),
    ("span_id", FieldType::Text),
    ("timestamp", FieldType::Text),
    ("trace_id", FieldType::Text),
];

/// The names of fields that records in a range have; relative times in the query count from
/// `now`, Unix ns.
///
/// The query narrows them down by what the index says of it, not by reading rows: a name may be
/// of a record that lies near those that match.
///
/// # Errors
///
/// A query that cannot be read, or a bound that is met. Damage is no error: the page says that it
/// is partial.
pub async fn log_fields(
    snapshot: &Snapshot,
    fields: &LogFields,
    bounds: &QueryBounds,
    now: i64,
) -> Result<FieldPage, QueryError> {
    let started = Instant::now();
    let filter = LogFilter::compile(&fields.query, fields.range, bounds, now)?;
    let stats = Arc::new(ScanStats::default());
    let tolerance = Tolerance::new(&stats, OnDamage::Warn);
    let mut found = Names::new(&fields.prefix, fields.limit);
    let gathering = gather(snapshot, filter.filter(), &tolerance, &stats, &mut found);
    within(bounds.timeout, async { Ok(gathering.await?) }).await?;
    let warnings = stats.warnings();
    Ok(FieldPage {
        truncated: found.truncated,
        fields: found.into_fields(),
        partial: !warnings.is_empty(),
        warnings,
        stats: stats.read(started.elapsed()),
    })
}

async fn gather(
    snapshot: &Snapshot,
    filter: &Filter,
    tolerance: &Tolerance,
    stats: &ScanStats,
    found: &mut Names,
) -> Result<(), StoreError> {
    for (name, kind) in COLUMNS {
        found.add(name, FieldKind::Column, kind);
    }
    for rows in &snapshot.open {
        if rows
            .times()
            .is_some_and(|times| filter.times.overlaps(times))
        {
            tokio::task::yield_now().await;
            let batch = rows
                .columns()
                .map_err(|err| internal("read open rows", err))?;
            found.add_batch(&batch)?;
        }
    }
    for row_group in &snapshot.row_groups {
        let index = BlockLookup::new(Terms::Memory(row_group.terms()));
        let blocks = filter
            .condition
            .blocks(&index, row_group.terms().blocks())
            .map_err(|err| internal("look up terms", err))?;
        found.add_group(row_group.file(), 0, &index, filter, &blocks)?;
    }
    for split in &snapshot.splits {
        if filter.times.overlaps(split.times()) {
            stats.add_split(split.blocks());
            tolerance.apply(add_split(split.as_ref(), filter, found).await)?;
        }
    }
    Ok(())
}

async fn add_split(
    handle: &dyn SplitHandle,
    filter: &Filter,
    found: &mut Names,
) -> Result<(), StoreError> {
    let split = handle.open().await?;
    let blocks = blocks_of(&split, filter).await?;
    let index = BlockLookup::new(Terms::Split(split.index().await?));
    let file = split.file();
    for group in 0..file.row_groups() {
        found.add_group(file, group, &index, filter, &blocks)?;
    }
    Ok(())
}

/// Names found so far: the first of them in alphabetical order.
struct Names {
    prefix: String,
    limit: usize,
    found: BTreeMap<(String, FieldKind), BTreeSet<FieldType>>,
    truncated: bool,
}

impl Names {
    fn new(prefix: &str, limit: usize) -> Self {
        Self {
            prefix: prefix.to_owned(),
            limit,
            found: BTreeMap::new(),
            truncated: false,
        }
    }

    fn add(&mut self, name: &str, kind: FieldKind, field_type: FieldType) {
        if !name.starts_with(&self.prefix) {
            return;
        }
        let types = self.found.entry((name.to_owned(), kind)).or_default();
        types.insert(field_type);
        if self.found.len() > self.limit {
            self.found.pop_last();
            self.truncated = true;
        }
    }

    fn add_promotion(&mut self, promotion: &Promotion) {
        let field_type = match promotion.kind {
            ColumnType::String => FieldType::Text,
            ColumnType::Int => FieldType::Integer,
            ColumnType::Double => FieldType::Double,
            ColumnType::Bool => FieldType::Boolean,
        };
        self.add(&promotion.key, kind_of(promotion.family), field_type);
    }

    /// The fields of rows in memory.
    fn add_batch(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let fields = batch.schema_ref().fields().iter();
        for (field, column) in fields.zip(batch.columns()) {
            if column.null_count() == column.len() {
                continue;
            }
            if let Some(promotion) = Promotion::from_field(field) {
                self.add_promotion(&promotion);
            }
            let family = match field.name().as_str() {
                names::OVERFLOW => Family::Attribute,
                names::RESOURCE_OVERFLOW => Family::Resource,
                _ => continue,
            };
            let mut last = None;
            for text in column.as_string::<i32>().iter().flatten() {
                if last.replace(text) == Some(text) {
                    continue;
                }
                let entries = overflow_attributes(field.name(), text)
                    .map_err(|err| internal("read open rows", err))?;
                for (key, value) in entries {
                    self.add(&key, kind_of(family), type_of(&value));
                }
            }
        }
        Ok(())
    }

    /// The fields of some blocks of a row group; `blocks` are those of the whole file.
    fn add_group(
        &mut self,
        file: &ParquetFile,
        group: usize,
        index: &BlockLookup<'_>,
        filter: &Filter,
        blocks: &BlockSet,
    ) -> Result<(), StoreError> {
        let times = file.times(group)?;
        if !filter.times.overlaps(times) {
            return Ok(());
        }
        let of_group = file.blocks(group);
        let mut wanted = blocks.slice(of_group.clone());
        if !filter.times.covers(times) {
            wanted.intersect(&file.blocks_in(group, filter.times.range()));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let fields = file.schema().fields().iter();
        let promotions: Vec<Promotion> = fields
            .filter(|field| file.has_values(group, field.name()))
            .filter_map(|field| Promotion::from_field(field))
            .collect();
        for promotion in &promotions {
            self.add_promotion(promotion);
        }
        let mut in_file = BlockSet::none(blocks.len());
        (0..wanted.len())
            .filter(|block| wanted.contains(*block))
            .for_each(|block| in_file.insert(of_group.start + block));
        for family in [Family::Attribute, Family::Resource] {
            let prefix = format!("{}{}", family.prefix(), self.prefix);
            index
                .each_unlisted_column(&prefix, &in_file, &mut |column| {
                    if !is_known(column, &promotions) {
                        let key = &column[family.prefix().len()..];
                        self.add(key, kind_of(family), FieldType::Mixed);
                    }
                })
                .map_err(|err| StoreError::Damaged {
                    file: file.name().to_owned(),
                    offset: 0,
                    message: err.to_string(),
                })?;
        }
        Ok(())
    }

    fn into_fields(self) -> Vec<FieldName> {
        self.found
            .into_iter()
            .map(|((name, kind), types)| FieldName {
                name,
                kind,
                types: types.into_iter().collect(),
            })
            .collect()
    }
}

/// Whether the values of a logical column, or some of them, are in one of the physical columns of
/// `promotions`, so that its name and a type are known. A file may have such a column for other row
/// groups only.
fn is_known(column: &str, promotions: &[Promotion]) -> bool {
    let (family, key) = match virtual_column(column) {
        Some(VirtualColumn::Attribute(key)) => (Family::Attribute, key),
        Some(VirtualColumn::Resource(key)) => (Family::Resource, key),
        None => return true,
    };
    let mut promotions = promotions.iter();
    promotions.any(|promotion| promotion.family == family && promotion.key == key)
}

fn kind_of(family: Family) -> FieldKind {
    match family {
        Family::Attribute => FieldKind::Attribute,
        Family::Resource => FieldKind::Resource,
    }
}

fn type_of(value: &Value) -> FieldType {
    match ColumnType::of(value) {
        Some(ColumnType::String) => FieldType::Text,
        Some(ColumnType::Int) => FieldType::Integer,
        Some(ColumnType::Double) => FieldType::Double,
        Some(ColumnType::Bool) => FieldType::Boolean,
        None => FieldType::Mixed,
    }
}
