//! SQL, read-only, over the tenant's tables.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, SchemaRef, TimeUnit, TimestampNanosecondType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use model::time::format_instant;
use serde::Deserialize;
use serde_json::{Value as JsonValue, json};
use store::SqlLimits;

use super::ApiError;
use crate::app::{App, tenant};

/// Rows of one answer; more is an error, so that nobody takes a part for the whole.
const MAX_ROWS: usize = 100_000;

/// `{query}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SqlRequest {
    query: String,
}

/// `{columns:[{name,type}],rows:[[…]]}`.
pub(super) async fn sql(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<SqlRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(request) = body?;
    let tenant = tenant(&headers)?;
    let limits = SqlLimits {
        timeout: app.limits.query_timeout,
        memory_bytes: app.limits.query_memory,
        max_rows: MAX_ROWS,
    };
    let (schema, batches) = app
        .queries
        .run(None, app.store.sql(&tenant, &request.query, limits))
        .await??;
    let rows = rows(&batches).map_err(|err| {
        tracing::error!(error = %err, "a SQL answer could not be printed");
        ApiError::internal("the answer could not be printed")
    })?;
    Ok(Json(json!({ "columns": columns(&schema), "rows": rows })))
}

fn columns(schema: &SchemaRef) -> Vec<JsonValue> {
    schema
        .fields()
        .iter()
        .map(|field| json!({"name": field.name(), "type": field.data_type().to_string()}))
        .collect()
}

fn rows(batches: &[RecordBatch]) -> Result<Vec<Vec<JsonValue>>, ArrowError> {
    let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(cells)
            .collect::<Result<Vec<_>, _>>()?;
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        for _ in 0..batch.num_rows() {
            rows.push(columns.iter_mut().filter_map(Iterator::next).collect());
        }
    }
    Ok(rows)
}

/// A column's values: 64-bit integers as strings, times as RFC 3339, what JSON lacks as text.
fn cells(column: &Arc<dyn Array>) -> Result<Vec<JsonValue>, ArrowError> {
    let length = column.len();
    let present = |row: usize, cell: &dyn Fn(usize) -> JsonValue| {
        if column.is_null(row) {
            JsonValue::Null
        } else {
            cell(row)
        }
    };
    let collect =
        |cell: &dyn Fn(usize) -> JsonValue| (0..length).map(|row| present(row, cell)).collect();
    Ok(match column.data_type() {
        DataType::Null => vec![JsonValue::Null; length],
        DataType::Boolean => {
            let values = column.as_boolean();
            collect(&|row| values.value(row).into())
        }
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => {
            let values = cast(column, &DataType::Int64)?;
            let values = values.as_primitive::<Int64Type>();
            collect(&|row| values.value(row).into())
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let values = cast(column, &DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            collect(&|row| float(values.value(row)))
        }
        DataType::Timestamp(_, zone) => {
            let nanos = cast(
                column,
                &DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
            )?;
            let nanos = nanos.as_primitive::<TimestampNanosecondType>();
            collect(&|row| format_instant(nanos.value(row)).into())
        }
        _ => {
            let options = FormatOptions::default();
            let texts = ArrayFormatter::try_new(column.as_ref(), &options)?;
            collect(&|row| texts.value(row).to_string().into())
        }
    })
}

fn float(number: f64) -> JsonValue {
    serde_json::Number::from_f64(number)
        .map_or_else(|| number.to_string().into(), JsonValue::Number)
}
