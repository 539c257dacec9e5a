//! `rules` and `alerts`, from the alerting engine's memory.

use alerting::{RuleKind, RulesFilter};
use axum::extract::{Request, State};
use axum::response::Response;
use model::TenantId;
use serde_json::json;

use super::answer::success;
use super::error::PromError;
use crate::app::{App, tenant};
use crate::http::params::{Params, invalid};

/// `rules`: groups with their rules and active alerts.
pub(super) async fn rules(State(app): State<App>, request: Request) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let filter = filter(&params)?;
    if !has_rules(&tenant(&headers)?) {
        return success(&json!({ "groups": [] }));
    }
    success(&app.engine.rules_snapshot(&filter))
}

/// Prometheus' names, and Mimir's without brackets.
fn filter(params: &Params) -> Result<RulesFilter, PromError> {
    let list = |bracketed: &str, bare: &str| -> Vec<String> {
        params
            .all(bracketed)
            .chain(params.all(bare))
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let kind = match params.get("type") {
        None => None,
        Some("alert") => Some(RuleKind::Alerting),
        Some("record") => Some(RuleKind::Recording),
        Some(other) => {
            let message = format!("expected \"alert\" or \"record\", got {other:?}");
            return Err(invalid("type", message).into());
        }
    };
    let exclude_alerts = match params.get("exclude_alerts") {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(other) => {
            let message = format!("expected true or false, got {other:?}");
            return Err(invalid("exclude_alerts", message).into());
        }
    };
    Ok(RulesFilter {
        kind,
        rule_names: list("rule_name[]", "rule_name"),
        groups: list("rule_group[]", "rule_group"),
        files: list("file[]", "file"),
        exclude_alerts,
        group_limit: params.count("group_limit")?.unwrap_or(0),
        group_next_token: params.get("group_next_token").map(str::to_owned),
    })
}

/// `alerts`: what is pending or firing.
pub(super) async fn alerts(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, _params) = Params::read(request).await?;
    if !has_rules(&tenant(&headers)?) {
        return success(&json!({ "alerts": [] }));
    }
    success(&app.engine.alerts_snapshot())
}

/// Rules run for the default tenant only; the others have none to show.
fn has_rules(tenant: &TenantId) -> bool {
    *tenant == TenantId::default_tenant()
}
