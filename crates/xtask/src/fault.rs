//! Breaks the running demo on purpose, and mends it.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::demo::DemoState;

/// Added to each request; twice the latency objective's threshold.
const LATENCY_MS: u64 = 600;
/// Share of requests that fail.
const ERROR_RATE: f64 = 0.4;

/// What can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// Requests take 600 ms longer.
    Latency,
    /// Four requests of ten fail with a 500.
    Errors,
    /// The standby stops replaying the primary's log.
    ReplicaLag,
}

impl Fault {
    /// Switches the fault on or off in the stack that `state` describes; other faults stay as
    /// they are.
    ///
    /// # Errors
    ///
    /// When the stack does not run any more, or has no replica.
    pub async fn switch(self, state: &DemoState, on: bool) -> anyhow::Result<()> {
        match self {
            Self::Latency => set(state, "latency_ms", json!(if on { LATENCY_MS } else { 0 })).await,
            Self::Errors => {
                set(
                    state,
                    "error_rate",
                    json!(if on { ERROR_RATE } else { 0.0 }),
                )
                .await
            }
            Self::ReplicaLag => {
                let Some(standby) = &state.standby else {
                    bail!("replica lag needs PostgreSQL; this demo runs on SQLite");
                };
                match on {
                    true => standby
                        .pause_replay()
                        .await
                        .context("pause replay on the standby"),
                    false => standby
                        .resume_replay()
                        .await
                        .context("resume replay on the standby"),
                }
            }
        }
    }
}

/// Sets one switch on every instance.
async fn set(state: &DemoState, switch: &str, value: Value) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    for api in &state.apis {
        let url = format!("{api}/admin/faults");
        let request = client.get(&url).header("x-admin-token", &state.admin_token);
        let answer = request
            .send()
            .await
            .with_context(|| format!("reach {api}; is it running?"))?;
        let mut faults: Value = answer.error_for_status()?.json().await?;
        faults[switch] = value.clone();
        let request = client
            .post(&url)
            .header("x-admin-token", &state.admin_token)
            .json(&faults);
        request.send().await?.error_for_status()?;
    }
    Ok(())
}
