//! The values of fields as text, read from the matching rows of a piece.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::logical_expr::ExprSchemable;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_plan::PhysicalExpr;
use futures::StreamExt;
use futures::stream::BoxStream;
use query::schema::{Keys, Table};
use query::search::group_value;

use super::exec::read_logical;
use super::pieces::{Piece, internal};
use super::select::{Selected, Wanted};
use super::session::{QueryBounds, query_error, session, syntax_error};
use crate::error::{QueryError, StoreError};

/// Fields to be read, by the names that the search syntax uses.
#[derive(Debug, Clone)]
pub(super) struct FieldValues {
    /// The logical columns that they are made of.
    schema: SchemaRef,
    /// Texts, over those columns.
    values: Vec<Arc<dyn PhysicalExpr>>,
}

impl FieldValues {
    /// Reads the fields' names.
    ///
    /// # Errors
    ///
    /// A name that is none.
    pub(super) fn new<'a>(
        fields: impl IntoIterator<Item = &'a str>,
        bounds: &QueryBounds,
    ) -> Result<Self, QueryError> {
        let values = fields
            .into_iter()
            .map(|field| group_value(field).map_err(syntax_error))
            .collect::<Result<Vec<_>, _>>()?;
        let mut keys = Keys::default();
        values.iter().for_each(|value| keys.extend(Keys::of(value)));
        let table = Table::Logs.schema(&keys);
        let is_used = |name: &str| {
            let mut columns = values.iter().flat_map(|value| value.column_refs());
            columns.any(|column| column.name == name)
        };
        let used = table.fields().iter().filter(|field| is_used(field.name()));
        let schema = Arc::new(Schema::new(used.cloned().collect::<Vec<_>>()));
        let session = session(bounds)?;
        let df_schema = DFSchema::try_from(table).map_err(query_error)?;
        let values = values
            .into_iter()
            .map(|value| {
                let text = value.cast_to(&DataType::Utf8, &df_schema)?;
                let text = session.create_physical_expr(text, &df_schema)?;
                reassign_expr_columns(text, &schema)
            })
            .collect::<Result<_, _>>()
            .map_err(query_error)?;
        Ok(Self { schema, values })
    }

    /// Some of the fields, by their places.
    ///
    /// # Errors
    ///
    /// A place that is none.
    pub(super) fn of(&self, places: &[usize]) -> Result<Self, StoreError> {
        let values = places.iter().filter_map(|place| self.values.get(*place));
        let values: Vec<Arc<dyn PhysicalExpr>> = values.cloned().collect();
        let used: HashSet<Column> = values.iter().flat_map(collect_columns).collect();
        let is_used = |field: &FieldRef| used.iter().any(|column| column.name() == field.name());
        let fields = self.schema.fields().iter().filter(|field| is_used(field));
        let schema = Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()));
        let values = values.into_iter();
        let values = values.map(|value| reassign_expr_columns(value, &schema));
        let values = values.collect::<Result<_, _>>();
        Ok(Self {
            values: values.map_err(|err| internal("read some fields", err))?,
            schema,
        })
    }

    /// The logical columns that the fields are made of.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Field> {
        self.schema.fields().iter().map(AsRef::as_ref)
    }

    /// The first field's text of a record that has `value` in `column`, as the index lists it;
    /// a field of several texts has any of them as it is.
    pub(super) fn of_listed(&self, column: &Field, value: &str) -> Option<String> {
        if *column.data_type() == DataType::Utf8 {
            return Some(value.to_owned());
        }
        let number: ArrayRef = match column.data_type() {
            DataType::Int32 => Arc::new(Int32Array::from(vec![value.parse::<i32>().ok()?])),
            _ => return None,
        };
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![number]).ok()?;
        let texts = text(self.values.first()?.as_ref(), &batch).ok()?;
        texts.is_valid(0).then(|| texts.value(0).to_owned())
    }

    /// What is read of rows for their texts.
    pub(super) fn wanted(&self) -> Wanted {
        Wanted::Columns(Arc::clone(&self.schema))
    }

    /// The fields' texts of the selected rows, in batches: a column for each field, null where a
    /// record lacks it.
    pub(super) fn read(
        &self,
        piece: Piece,
        selected: &Selected,
    ) -> Result<BoxStream<'static, Result<Vec<StringArray>, StoreError>>, StoreError> {
        let batches = read_logical(piece, &self.schema, selected)?;
        let values = self.values.clone();
        Ok(batches
            .map(move |batch| {
                let batch = batch?;
                values
                    .iter()
                    .map(|value| text(value.as_ref(), &batch))
                    .collect()
            })
            .boxed())
    }
}

fn text(value: &dyn PhysicalExpr, batch: &RecordBatch) -> Result<StringArray, StoreError> {
    let column: ArrayRef = value
        .evaluate(batch)
        .and_then(|value| value.into_array(batch.num_rows()))
        .map_err(|err| internal("read a field", err))?;
    column
        .as_string_opt::<i32>()
        .cloned()
        .ok_or_else(|| internal("read a field", "it is no text"))
}
