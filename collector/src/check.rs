//! `watchkeeper check` and `watchkeeper verify`: is what you have any good?

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use alerting::{AlertingConfig, Configuration};
use anyhow::Context as _;
use model::Labels;

use crate::cli::{CheckArgs, ServeArgs, VerifyArgs};
use crate::config::{Config, ConfigError, Settings};
use crate::scrape;
use crate::scrape::config::{Checked, Written};

/// What a configuration file is, told by its top-level keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rules,
    Slos,
    Notifications,
    Scrapes,
    Server,
}

/// Checks files of any kind, prints every finding as `file:line:column: message`.
///
/// # Errors
///
/// A file that cannot be read. Findings are exit code 1.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut good = true;
    for path in &args.files {
        match check_file(path)? {
            Ok(kind) => println!("{}: {}", path.display(), kind.good()),
            Err(findings) => {
                good = false;
                eprintln!("{findings}");
            }
        }
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn check_file(path: &Path) -> anyhow::Result<Result<Kind, String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let kind = match kind_of(&text) {
        // `alerting`, `storage` and `otlp` are sections of ours, too.
        Kind::Scrapes if Settings::read(path).is_ok() => Kind::Server,
        kind => kind,
    };
    let checked = match kind {
        Kind::Server => check_server(path),
        Kind::Scrapes => Written::check_file(path)
            .map_err(|err| err.to_string())
            .and_then(|checked| check_scrapes(path, &checked)),
        Kind::Rules | Kind::Slos | Kind::Notifications => check_alerting(path, kind),
    };
    Ok(checked.map(|()| kind))
}

/// Checks the server's configuration and the files it names, as the server does before it opens a
/// port; other than there, the environment has no say.
fn check_server(path: &Path) -> Result<(), String> {
    let config = Config::read(path).map_err(|err| match err {
        ConfigError::Value { .. } => format!("{}: {err}", path.display()),
        located => located.to_string(),
    })?;
    Configuration::load(&config.alerting(String::new())).map_err(|errors| errors.to_string())?;
    check_scrapes(path, &config.scrape)
}

/// Checks what is scraped; what has no meaning here is printed and no finding.
fn check_scrapes(path: &Path, checked: &Checked) -> Result<(), String> {
    for remark in &checked.remarks {
        println!("{remark}");
    }
    scrape::check(&checked.jobs).map_err(|problem| format!("{}: {problem}", path.display()))
}

/// Checks a file of rules, SLOs or notifications alone.
fn check_alerting(path: &Path, kind: Kind) -> Result<(), String> {
    let only = |wanted: Kind| -> Vec<PathBuf> {
        match kind == wanted {
            true => vec![path.to_owned()],
            false => Vec::new(),
        }
    };
    let config = AlertingConfig {
        rule_files: only(Kind::Rules),
        slo_files: only(Kind::Slos),
        notification_file: only(Kind::Notifications).pop(),
        external_url: "http://localhost".to_owned(),
        external_labels: Labels::empty(),
        evaluation_interval: Duration::from_secs(60),
    };
    let loaded = Configuration::load(&config);
    loaded.map(drop).map_err(|errors| errors.to_string())
}

/// Rule files have `groups`, SLO files `slos`, notification files `route` or `receivers`.
fn kind_of(text: &str) -> Kind {
    let has = |key: &str| text.lines().any(|line| line.starts_with(key));
    if has("groups:") {
        Kind::Rules
    } else if has("slos:") || has("apiVersion: openslo") {
        Kind::Slos
    } else if has("route:") || has("receivers:") {
        Kind::Notifications
    } else if is_scrape_file(text) {
        Kind::Scrapes
    } else {
        Kind::Server
    }
}

/// A `prometheus.yml`, or a file of `scrape_configs` alone: no field that only the server's own
/// configuration has.
fn is_scrape_file(text: &str) -> bool {
    let mut fields = text
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split_once(':').map(|(field, _)| field))
        .peekable();
    fields.peek().is_some() && fields.all(|field| scrape::config::FILE_FIELDS.contains(&field))
}

impl Kind {
    fn good(self) -> &'static str {
        match self {
            Self::Rules => "rules are valid",
            Self::Slos => "SLOs are valid",
            Self::Notifications => "notification configuration is valid",
            Self::Scrapes => "scrape configuration is valid",
            Self::Server => "server configuration is valid",
        }
    }
}

/// Checks a data directory that no server is using and prints every finding; the exit code says
/// whether there was any.
///
/// # Errors
///
/// The directory does not exist, is in use, or cannot be read.
pub(crate) fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let args = ServeArgs {
        config: args.config,
        data_dir: args.data_dir,
        ..ServeArgs::default()
    };
    // Read as the server reads it, since the catalog's database may be elsewhere.
    let config = Config::load(&args, std::env::vars())?.store;
    let directory = config.data_dir.display();
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    let report = runtime
        .block_on(store::verify(&config))
        .with_context(|| format!("verify {directory}"))?;
    for finding in &report.findings {
        println!("{}: {}", finding.place, finding.problem);
    }
    for leftover in &report.leftovers {
        println!(
            "{}: belongs to no split and is removed at the next start",
            leftover.display()
        );
    }
    println!(
        "{directory}: {} log records in {} segments, {} rows in {} splits, {} findings",
        report.log_records,
        report.segments,
        report.rows,
        report.splits,
        report.findings.len()
    );
    Ok(if report.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
