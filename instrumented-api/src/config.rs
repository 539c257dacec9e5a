//! What an operator can set: flags, each with an environment variable of its own.
//!
//! Where telemetry goes and how often is not ours to invent: the standard `OTEL_*` variables
//! are read by the OpenTelemetry SDK itself.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A task API whose traces, logs and metrics go to any OpenTelemetry collector.
///
/// Telemetry is sent by OTLP over gRPC to OTEL_EXPORTER_OTLP_ENDPOINT (default
/// http://localhost:4317); OTEL_METRIC_EXPORT_INTERVAL, OTEL_BSP_SCHEDULE_DELAY,
/// OTEL_BLRP_SCHEDULE_DELAY (ms), OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and
/// OTEL_SDK_DISABLED are honoured.
#[derive(Debug, clap::Parser)]
#[command(name = "instrumented-api", version)]
pub(crate) struct Config {
    /// Address to listen on; port 0 picks a free one, named on stdout.
    #[arg(long, env = "TASK_API_LISTEN", default_value = "127.0.0.1:8081")]
    pub(crate) listen: SocketAddr,

    /// The database that takes writes: postgres://… or sqlite:PATH.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite:tasks.db?mode=rwc")]
    pub(crate) database_url: Secret,

    /// A PostgreSQL standby to read from. Without it, the primary answers reads too.
    #[arg(long, env = "REPLICA_DATABASE_URL")]
    pub(crate) replica_url: Option<Secret>,

    /// Connections kept per database at most.
    #[arg(long, env = "TASK_API_POOL_SIZE", default_value_t = 10)]
    pub(crate) pool_size: u32,

    /// How often the heartbeat row is written and looked for on the replica, in milliseconds.
    #[arg(long, env = "TASK_API_HEARTBEAT_MS", default_value = "500", value_parser = milliseconds)]
    pub(crate) heartbeat_ms: Duration,

    /// Key that signs access tokens; the same for all instances. Without it a random one is
    /// made, and tokens end with the process.
    #[arg(long, env = "TASK_API_JWT_SECRET")]
    pub(crate) jwt_secret: Option<Secret>,

    /// Token for `/admin/*` (header `X-Admin-Token`). Without it those paths do not exist.
    #[arg(long, env = "TASK_API_ADMIN_TOKEN")]
    pub(crate) admin_token: Option<Secret>,

    /// `service.instance.id` of this process; unique among instances. Default: a random UUID.
    #[arg(long, env = "TASK_API_INSTANCE_ID")]
    pub(crate) instance_id: Option<String>,

    /// `deployment.environment.name`, such as production.
    #[arg(long, env = "TASK_API_ENVIRONMENT", default_value = "development")]
    pub(crate) environment: String,

    /// Written once requests are accepted: `{"http":"127.0.0.1:8081","pid":4711}`.
    #[arg(long)]
    pub(crate) ready_file: Option<PathBuf>,
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(millis) if millis >= 10 => Ok(Duration::from_millis(millis)),
        _ => Err(format!(
            "expected a whole number of milliseconds of at least 10, got {text:?}"
        )),
    }
}

/// Text that must not reach a log: prints as `***`.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `candidate` is the secret, in a time that does not tell how much of it is right.
    pub(crate) fn matches(&self, candidate: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), candidate.as_bytes());
        let difference = own
            .iter()
            .zip(other)
            .fold(0, |found, (a, b)| found | (a ^ b));
        own.len() == other.len() && difference == 0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_only_itself_and_is_never_printed() {
        let secret = Secret::from("hunter2".to_owned());
        assert!(secret.matches("hunter2"));
        for wrong in ["", "hunter", "hunter22", "Hunter2"] {
            assert!(!secret.matches(wrong), "{wrong:?}");
        }
        assert_eq!(format!("{secret:?}"), "***");
    }
}
