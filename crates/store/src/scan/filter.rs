//! A filter, taken apart for the scan: its time range, what it asks of the index, and the
//! conditions in the order in which they are checked on rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};
use datafusion::physical_expr::utils::reassign_expr_columns;
use datafusion::physical_plan::PhysicalExpr;
use model::TimeRange;
use query::functions::{column_of_number, has_match_of};
use query::schema;

use super::condition::{Condition, unqualified};

/// Instants `first <= t <= last`, Unix ns; unlike a `TimeRange` it can hold the last instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Times {
    pub(super) const ALL: Self = Self {
        first: i64::MIN,
        last: i64::MAX,
    };

    pub(super) fn of(range: TimeRange) -> Self {
        if range.is_empty() {
            return Self { first: 0, last: -1 };
        }
        let last = match range.end {
            i64::MAX => i64::MAX,
            end => end - 1,
        };
        Self {
            first: range.start,
            last,
        }
    }

    pub(super) fn intersect(self, other: Self) -> Self {
        Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        }
    }

    pub(super) fn contains(self, instant: i64) -> bool {
        self.first <= instant && instant <= self.last
    }

    /// Whether any of the instants `first..=last` is inside.
    pub(super) fn overlaps(self, (first, last): (i64, i64)) -> bool {
        self.first <= self.last && self.first <= last && first <= self.last
    }

    /// Whether all of the instants `first..=last` are inside.
    pub(super) fn covers(self, (first, last): (i64, i64)) -> bool {
        self.first <= first && last <= self.last
    }

    /// For pruning by pages; the last instant of all is kept by pruning nothing at that end.
    pub(super) fn range(self) -> TimeRange {
        TimeRange::new(self.first, self.last.saturating_add(1))
    }
}

/// Conditions that are checked together, on the columns they need.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    /// The logical columns.
    pub(super) schema: SchemaRef,
    /// All must be true; their columns are those of `schema`.
    pub(super) predicates: Vec<Arc<dyn PhysicalExpr>>,
}

/// A filter over a logical table.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// Rows outside of it do not match.
    pub(super) times: Times,
    /// What the index is asked.
    pub(super) condition: Condition,
    /// What is checked on the rows, one after the other.
    pub(super) stages: Vec<Stage>,
}

impl Filter {
    /// Takes the conjunction of `filters` apart; `table` holds every column they use.
    ///
    /// # Errors
    ///
    /// A filter that does not fit the table's columns.
    pub(super) fn new(
        filters: &[Expr],
        times: Times,
        table: &SchemaRef,
        session: &dyn Session,
    ) -> Result<Self> {
        let mut times = times;
        let mut condition = Condition::Any;
        let mut checked: Vec<Expr> = Vec::new();
        let mut fields: Vec<FieldRef> = table.fields().to_vec();
        for conjunct in filters.iter().flat_map(split_conjunction) {
            let conjunct = matched_by_columns(unqualified(conjunct))?;
            if conjunct == lit(true) {
                continue;
            }
            if let Some(bound) = time_bound(&conjunct) {
                times = times.intersect(bound);
                continue;
            }
            condition = condition.and(Condition::of(&conjunct, table, session));
            checked.push(numbers_as_columns(conjunct, &mut fields)?);
        }
        let table = Schema::new(fields);
        let df_schema = DFSchema::try_from(table.clone())?;
        let mut conditions: Vec<(usize, Arc<dyn PhysicalExpr>, Vec<Column>)> = Vec::new();
        for conjunct in checked {
            let columns: Vec<Column> = conjunct.column_refs().into_iter().cloned().collect();
            let cost = columns.iter().map(|c| cost_of(&c.name)).max().unwrap_or(0);
            let predicate = session.create_physical_expr(conjunct, &df_schema)?;
            conditions.push((cost, predicate, columns));
        }
        conditions.sort_by_key(|(cost, ..)| *cost);
        let mut stages = Vec::new();
        for group in conditions.chunk_by(|(a, ..), (b, ..)| a == b) {
            stages.push(stage(group, &table)?);
        }
        Ok(Self {
            times,
            condition,
            stages,
        })
    }
}

/// The filter with the tests of texts that are made for whole columns.
fn matched_by_columns(filter: Expr) -> Result<Expr> {
    let replaced = filter.transform_up(|expr| {
        Ok(match has_match_of(&expr) {
            Some(matched) => Transformed::yes(matched),
            None => Transformed::no(expr),
        })
    })?;
    Ok(replaced.data)
}

/// The filter with `number(attribute)` as the column that has the numbers, which is added to
/// `fields`.
fn numbers_as_columns(filter: Expr, fields: &mut Vec<FieldRef>) -> Result<Expr> {
    let replaced = filter.transform_up(|expr| {
        let column = column_of_number(&expr).map(|column| column.name.as_str());
        let Some(column) = column.filter(|name| schema::virtual_column(name).is_some()) else {
            return Ok(Transformed::no(expr));
        };
        let name = schema::number_column(column);
        if !fields.iter().any(|field| *field.name() == name) {
            fields.push(Arc::new(Field::new(&name, DataType::Float64, true)));
        }
        Ok(Transformed::yes(Expr::Column(Column::new_unqualified(
            name,
        ))))
    })?;
    Ok(replaced.data)
}

fn stage(group: &[(usize, Arc<dyn PhysicalExpr>, Vec<Column>)], table: &Schema) -> Result<Stage> {
    let is_used = |name: &str| {
        let mut columns = group.iter().flat_map(|(_, _, columns)| columns);
        columns.any(|column| column.name == name)
    };
    let fields: Vec<_> = table
        .fields()
        .iter()
        .filter(|field| is_used(field.name()))
        .cloned()
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let predicates = group
        .iter()
        .map(|(_, predicate, _)| reassign_expr_columns(Arc::clone(predicate), &schema))
        .collect::<Result<_>>()?;
    Ok(Stage { schema, predicates })
}

/// How dear it is to read a column, roughly: small numbers and repeated words first, then
/// attributes, then long texts, then what has to be put together.
fn cost_of(column: &str) -> usize {
    match column {
        schema::SEVERITY_NUMBER
        | schema::LEVEL_NUMBER
        | schema::SEVERITY_TEXT
        | schema::SERVICE
        | schema::KIND
        | schema::STATUS_CODE
        | schema::TIMESTAMP
        | schema::SEQ => 0,
        schema::BODY => 3,
        schema::ATTRIBUTES | schema::RESOURCE | schema::EVENTS | schema::LINKS => 4,
        other if schema::virtual_column(other).is_some() => 2,
        _ => 1,
    }
}

/// The bound that a condition sets to the rows' times, when it does nothing else.
fn time_bound(condition: &Expr) -> Option<Times> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if is_timestamp(left) {
                bound(*op, instant(right)?)
            } else if is_timestamp(right) {
                bound(op.swap()?, instant(left)?)
            } else {
                None
            }
        }
        Expr::Between(between) if !between.negated && is_timestamp(&between.expr) => Some(Times {
            first: instant(&between.low)?,
            last: instant(&between.high)?,
        }),
        _ => None,
    }
}

fn bound(operator: Operator, instant: i64) -> Option<Times> {
    let nothing = Times { first: 0, last: -1 };
    let (first, last) = match operator {
        Operator::Eq => (instant, instant),
        Operator::GtEq => (instant, i64::MAX),
        Operator::LtEq => (i64::MIN, instant),
        Operator::Gt => match instant.checked_add(1) {
            Some(first) => (first, i64::MAX),
            None => return Some(nothing),
        },
        Operator::Lt => match instant.checked_sub(1) {
            Some(last) => (i64::MIN, last),
            None => return Some(nothing),
        },
        _ => return None,
    };
    Some(Times { first, last })
}

fn is_timestamp(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if column.name == schema::TIMESTAMP)
}

fn instant(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::TimestampNanosecond(instant, zone), _) => {
            // Without a zone the comparison would go through a cast.
            let same_type =
                DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, zone.clone())
                    == schema::timestamp_type();
            same_type.then_some(*instant)?
        }
        _ => None,
    }
}
