//! `format_query` and `parse_query`: a query's text laid out, and its tree.

use axum::extract::Request;
use axum::response::Response;

use super::answer::success;
use super::error::PromError;
use super::syntax_tree::tree;
use crate::http::params::Params;

/// `format_query`: the query over as many lines as it takes.
pub(super) async fn format(request: Request) -> Result<Response, PromError> {
    let (_, params) = Params::read(request).await?;
    success(&promql::pretty(&promql::parse(params.required("query")?)?))
}

/// `parse_query`: the tree, in the form of Prometheus' own pages.
pub(super) async fn parse(request: Request) -> Result<Response, PromError> {
    let (_, params) = Params::read(request).await?;
    success(&tree(&promql::parse(params.required("query")?)?))
}
