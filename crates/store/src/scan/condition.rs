//! What a filter asks of the block index: words and values, and tests of a column's values that
//! can be tried on the dictionary.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_plan::PhysicalExpr;
use query::lookup::{Lookup, from_logical};
use query::schema;

use crate::index::{BlockLookup, BlockSet, IndexError, knows_values};

/// A condition that rows must meet for a filter to hold; blocks are chosen by it.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    /// Says nothing.
    Any,
    /// All must hold.
    All(Vec<Condition>),
    /// One must hold.
    OneOf(Vec<Condition>),
    /// Words and whole values.
    Lookup(Lookup),
    /// A test of one column whose values the index has.
    Values(ValueTest),
}

/// Whether a lookup asks for nothing but certain values, which are found without trying others.
fn names_values(lookup: &Lookup) -> bool {
    match lookup {
        Lookup::Equals { .. } | Lookup::StartsWith { .. } => true,
        Lookup::OneOf(parts) => parts.iter().all(names_values),
        _ => false,
    }
}

/// Values that a test may be tried on for each block that it may spare: about what reading the column
/// of the block costs.
const VALUES_PER_BLOCK: usize = 64;

/// A predicate of one logical column that no null passes, when the column has any.
#[derive(Debug, Clone)]
pub(super) struct ValueTest {
    column: String,
    /// Of the one column.
    schema: SchemaRef,
    predicate: Arc<dyn PhysicalExpr>,
}

/// The identifier columns, which bloom filters know.
const IDS: [(&str, usize); 3] = [
    (schema::TRACE_ID, 16),
    (schema::SPAN_ID, 8),
    (schema::PARENT_SPAN_ID, 8),
];

impl Condition {
    /// What `filter`, over the logical table `table`, asks.
    pub(super) fn of(filter: &Expr, table: &Schema, session: &dyn Session) -> Self {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == Operator::And => {
                let parts = [left, right].map(|part| Self::of(part, table, session));
                Self::all(parts.into())
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == Operator::Or => {
                let parts = [left, right].map(|part| Self::of(part, table, session));
                match parts.iter().any(|part| matches!(part, Self::Any)) {
                    true => Self::Any,
                    false => Self::OneOf(parts.into()),
                }
            }
            Expr::IsTrue(inner) => Self::of(inner, table, session),
            leaf => {
                let lookup = from_logical(leaf);
                if names_values(&lookup) {
                    return Self::Lookup(lookup);
                }
                // A value says more than the words in it.
                match (ValueTest::of(leaf, table, session), lookup) {
                    (Some(test), _) => Self::Values(test),
                    (None, Lookup::Any) => Self::Any,
                    (None, lookup) => Self::Lookup(lookup),
                }
            }
        }
    }

    fn all(parts: Vec<Self>) -> Self {
        let mut parts: Vec<Self> = parts
            .into_iter()
            .filter(|part| !matches!(part, Self::Any))
            .collect();
        match parts.len() {
            0 => Self::Any,
            1 => parts.remove(0),
            _ => Self::All(parts),
        }
    }

    /// Both conditions.
    pub(super) fn and(self, other: Self) -> Self {
        Self::all(vec![self, other])
    }

    /// Whether every block meets it.
    pub(super) fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }

    /// The identifiers that it compares with: logical column, text, bytes.
    pub(super) fn ids(&self) -> Vec<(String, String, Vec<u8>)> {
        match self {
            Self::Any | Self::Values(_) => Vec::new(),
            Self::All(parts) | Self::OneOf(parts) => parts.iter().flat_map(Self::ids).collect(),
            Self::Lookup(lookup) => ids_of(lookup),
        }
    }

    /// The blocks that may meet it.
    pub(super) fn blocks(
        &self,
        index: &BlockLookup<'_>,
        blocks: usize,
    ) -> Result<BlockSet, IndexError> {
        match self {
            Self::Any => Ok(BlockSet::all(blocks)),
            Self::All(parts) => {
                let mut found = BlockSet::all(blocks);
                for part in parts {
                    found.intersect(&part.blocks(index, blocks)?);
                    if found.is_empty() {
                        break;
                    }
                }
                Ok(found)
            }
            Self::OneOf(parts) => {
                let mut found = BlockSet::none(blocks);
                for part in parts {
                    found.unite(&part.blocks(index, blocks)?);
                }
                Ok(found)
            }
            Self::Lookup(lookup) => index.blocks(lookup),
            Self::Values(test) => test.blocks(index, blocks),
        }
    }
}

fn ids_of(lookup: &Lookup) -> Vec<(String, String, Vec<u8>)> {
    match lookup {
        Lookup::All(parts) | Lookup::OneOf(parts) => parts.iter().flat_map(ids_of).collect(),
        Lookup::Equals { column, value } => IDS
            .iter()
            .filter(|(name, length)| name == column && value.len() == 2 * length)
            .filter_map(|_| {
                Some((
                    column.clone(),
                    value.clone(),
                    const_hex::decode(value).ok()?,
                ))
            })
            .collect(),
        _ => Vec::new(),
    }
}

impl ValueTest {
    fn of(filter: &Expr, table: &Schema, session: &dyn Session) -> Option<Self> {
        let columns = filter.column_refs();
        let mut names = columns.iter().map(|column| column.name.as_str());
        let (Some(column), None) = (names.next(), names.next()) else {
            return None;
        };
        let field = table.field_with_name(column).ok()?;
        let is_listed = matches!(field.data_type(), DataType::Utf8 | DataType::Int32);
        if !knows_values(column) || !is_listed {
            return None;
        }
        let schema = Arc::new(Schema::new(vec![Field::new(
            column,
            field.data_type().clone(),
            true,
        )]));
        let df_schema = DFSchema::try_from(Arc::clone(&schema)).ok()?;
        let predicate = session
            .create_physical_expr(unqualified(filter), &df_schema)
            .ok()?;
        let test = Self {
            column: column.to_owned(),
            schema,
            predicate,
        };
        // The index does not know which rows lack the value.
        if !field.is_nullable() {
            return Some(test);
        }
        let nothing = new_null_array(field.data_type(), 1);
        matches!(test.passes(nothing).as_deref(), Some([false])).then_some(test)
    }

    /// Which values pass; `None` when the predicate fails on one of them.
    fn passes(&self, values: ArrayRef) -> Option<Vec<bool>> {
        let rows = values.len();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![values]).ok()?;
        let result = self
            .predicate
            .evaluate(&batch)
            .ok()?
            .into_array(rows)
            .ok()?;
        let result = result.as_boolean_opt()?;
        Some(
            (0..rows)
                .map(|row| result.is_valid(row) && result.value(row))
                .collect(),
        )
    }

    fn blocks(&self, index: &BlockLookup<'_>, blocks: usize) -> Result<BlockSet, IndexError> {
        let everywhere = BlockSet::all(blocks);
        if index.count_values(&self.column)? > blocks.saturating_mul(VALUES_PER_BLOCK) {
            return Ok(everywhere);
        }
        let mut values: Vec<String> = Vec::new();
        index.each_value(&self.column, "", &everywhere, &mut |value| {
            values.push(value.to_owned());
            ControlFlow::Continue(())
        })?;
        let array: ArrayRef = match self.schema.field(0).data_type() {
            DataType::Int32 => {
                let numbers = values.iter().map(|value| value.parse::<i32>().ok());
                Arc::new(numbers.collect::<Int32Array>())
            }
            _ => Arc::new(StringArray::from_iter_values(&values)),
        };
        let Some(passes) = self.passes(array) else {
            // The row check will meet the same failure, and report it.
            return Ok(everywhere);
        };
        // The dictionary lists its values in the same order again.
        let mut next = passes.into_iter();
        index.values(&self.column, &mut |_| next.next().unwrap_or(true))
    }
}

/// The filter with columns that carry no table name, as the scan's own schema has none.
pub(super) fn unqualified(filter: &Expr) -> Expr {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let result = filter.clone().transform(|expr| {
        Ok(match expr {
            Expr::Column(column) if column.relation.is_some() => Transformed::yes(Expr::Column(
                datafusion::common::Column::new_unqualified(column.name),
            )),
            other => Transformed::no(other),
        })
    });
    match result {
        Ok(transformed) => transformed.data,
        Err(_) => filter.clone(),
    }
}
