//! Alertmanager configuration files, as far as Watchkeeper acts on them. What it would have to
//! ignore is an error that names it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lettre::message::Mailboxes;
use model::{MatchOp, Matcher};
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::yaml::{Pairs, Source};

use super::matcher::{self, Matchers};
use super::route::{GroupBy, Route};

/// Routes and receivers, checked.
#[derive(Debug, Clone)]
pub(crate) struct NotificationConfig {
    /// The root of the tree.
    pub(crate) route: Route,
    /// Receivers by name.
    pub(crate) receivers: BTreeMap<String, Vec<IntegrationConfig>>,
}

/// One way a receiver is told.
#[derive(Debug, Clone)]
pub(crate) struct IntegrationConfig {
    /// `team-web/email[0]`
    pub(crate) id: String,
    /// The receiver's name.
    pub(crate) receiver: String,
    /// Whether the end of alerts is told.
    pub(crate) send_resolved: bool,
    /// How it is told.
    pub(crate) kind: IntegrationKind,
}

/// The kinds of integrations.
#[derive(Debug, Clone)]
pub(crate) enum IntegrationKind {
    /// Mail.
    Email(EmailConfig),
    /// A POST request.
    Webhook(WebhookConfig),
}

impl IntegrationKind {
    /// The word in metrics and ids.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Webhook(_) => "webhook",
        }
    }
}

/// Where and how mail is sent.
#[derive(Debug, Clone)]
pub(crate) struct EmailConfig {
    /// Recipients.
    pub(crate) to: Mailboxes,
    /// The sender.
    pub(crate) from: Mailboxes,
    /// The mail server's host name.
    pub(crate) host: String,
    /// Its port; 465 means TLS from the start.
    pub(crate) port: u16,
    /// The name given in EHLO; `None` is this machine's.
    pub(crate) hello: Option<String>,
    /// User name for authentication.
    pub(crate) username: Option<String>,
    /// Password for authentication.
    pub(crate) password: Option<Secret>,
    /// Whether mail is sent only over TLS.
    pub(crate) require_tls: bool,
}

/// Where a webhook is called.
#[derive(Debug, Clone)]
pub(crate) struct WebhookConfig {
    /// The URL, which may contain secrets.
    pub(crate) url: Secret,
    /// Most alerts in one request; 0 is all.
    pub(crate) max_alerts: usize,
}

/// A secret given in the file, or the file that holds it and is read again for each message.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    /// The secret itself.
    Inline(String),
    /// Where it lies.
    File(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Secret {
    /// The secret.
    ///
    /// # Errors
    ///
    /// A sentence when its file cannot be read.
    pub(crate) async fn read(&self) -> Result<String, String> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => tokio::fs::read_to_string(path)
                .await
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|error| format!("cannot read the secret in {path}: {error}")),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default)]
    global: RawGlobal,
    route: Option<Spanned<RawRoute>>,
    receivers: Option<Vec<RawReceiver>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGlobal {
    resolve_timeout: Option<Spanned<String>>,
    smtp_from: Option<Spanned<String>>,
    smtp_smarthost: Option<Spanned<String>>,
    smtp_hello: Option<String>,
    smtp_auth_username: Option<String>,
    smtp_auth_password: Option<String>,
    smtp_auth_password_file: Option<Spanned<String>>,
    smtp_require_tls: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoute {
    receiver: Option<Spanned<String>>,
    group_by: Option<Vec<Spanned<String>>>,
    #[serde(default, rename = "continue")]
    continues: Option<Spanned<bool>>,
    #[serde(rename = "match")]
    equal: Option<Pairs>,
    match_re: Option<Pairs>,
    matchers: Option<Vec<Spanned<String>>>,
    group_wait: Option<Spanned<String>>,
    group_interval: Option<Spanned<String>>,
    repeat_interval: Option<Spanned<String>>,
    routes: Option<Vec<Spanned<RawRoute>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReceiver {
    name: Spanned<String>,
    email_configs: Option<Vec<Spanned<RawEmail>>>,
    webhook_configs: Option<Vec<Spanned<RawWebhook>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEmail {
    to: Option<Spanned<String>>,
    from: Option<Spanned<String>>,
    smarthost: Option<Spanned<String>>,
    hello: Option<String>,
    auth_username: Option<String>,
    auth_password: Option<String>,
    auth_password_file: Option<Spanned<String>>,
    require_tls: Option<bool>,
    send_resolved: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWebhook {
    url: Option<Spanned<String>>,
    url_file: Option<Spanned<String>>,
    #[serde(default)]
    max_alerts: usize,
    send_resolved: Option<bool>,
}

/// What a route hands down.
#[derive(Debug, Clone)]
struct Inherited {
    key: String,
    receiver: String,
    group_by: GroupBy,
    group_wait_ms: i64,
    group_interval_ms: i64,
    repeat_interval_ms: i64,
}

/// Reads the notification config in `source`. `None` when it is unusable; the reasons are noted
/// in `source`.
pub(crate) fn read(source: &mut Source<'_>) -> Option<NotificationConfig> {
    let errors_before = source.errors.len();
    let document = source.document::<RawConfig>();
    if source.errors.len() > errors_before {
        return None;
    }
    let Some((root, document)) = document.and_then(|mut document| {
        let root = document.route.take()?;
        Some((root, document))
    }) else {
        source.error(Location::UNKNOWN, "no route provided in config");
        return None;
    };
    if let Some(timeout) = &document.global.resolve_timeout {
        source.warning(
            timeout.referenced,
            "resolve_timeout has no effect: it is for alerts from outside that name no end",
        );
    }
    let mut receivers = BTreeMap::new();
    for raw in document.receivers.unwrap_or_default() {
        if raw.name.value.is_empty() {
            source.error(raw.name.referenced, "missing name in receiver");
        }
        let name = raw.name.clone();
        let integrations = receiver(source, raw, &document.global);
        if receivers.insert(name.value.clone(), integrations).is_some() {
            source.error(
                name.referenced,
                format!("the receiver name {:?} is not unique", name.value),
            );
        }
    }
    let inherited = root_defaults(source, &root);
    let mut route = route(source, root, &inherited, &receivers);
    route.number();
    (source.errors.len() == errors_before).then_some(NotificationConfig { route, receivers })
}

/// Alertmanager's defaults, after the checks that concern the root alone.
fn root_defaults(source: &mut Source<'_>, root: &Spanned<RawRoute>) -> Inherited {
    let raw = &root.value;
    let named = raw.receiver.as_ref().is_some_and(|r| !r.value.is_empty());
    if !named {
        source.error(
            root.referenced,
            "root route must specify a default receiver",
        );
    }
    let has_matchers = [&raw.equal, &raw.match_re]
        .into_iter()
        .flatten()
        .any(|pairs| !pairs.0.is_empty())
        || raw.matchers.as_ref().is_some_and(|list| !list.is_empty());
    if has_matchers {
        source.error(root.referenced, "root route must not have any matchers");
    }
    if let Some(continues) = raw.continues.as_ref().filter(|flag| flag.value) {
        source.error(continues.referenced, "cannot have continue in root route");
    }
    Inherited {
        key: String::new(),
        receiver: String::new(),
        group_by: GroupBy::Labels(Vec::new()),
        group_wait_ms: 30_000,
        group_interval_ms: 300_000,
        repeat_interval_ms: 4 * 3_600_000,
    }
}

fn route(
    source: &mut Source<'_>,
    raw: Spanned<RawRoute>,
    inherited: &Inherited,
    receivers: &BTreeMap<String, Vec<IntegrationConfig>>,
) -> Route {
    let place = raw.referenced;
    let raw = raw.value;
    let matchers = route_matchers(source, &raw, place);
    let mut timer = |text: &Option<Spanned<String>>, name: &str, inherited: i64, least: i64| {
        let Some(text) = text else {
            return inherited;
        };
        let millis = source.duration(text).unwrap_or(inherited);
        if millis < least {
            source.error(text.referenced, format!("{name} cannot be zero"));
        }
        millis
    };
    let group_wait_ms = timer(&raw.group_wait, "group_wait", inherited.group_wait_ms, 0);
    let group_interval_ms = timer(
        &raw.group_interval,
        "group_interval",
        inherited.group_interval_ms,
        1,
    );
    let repeat_interval_ms = timer(
        &raw.repeat_interval,
        "repeat_interval",
        inherited.repeat_interval_ms,
        1,
    );
    let receiver = match &raw.receiver {
        Some(name) if !name.value.is_empty() => {
            if !receivers.contains_key(&name.value) {
                let defined: Vec<&str> = receivers.keys().map(String::as_str).collect();
                source.error(
                    name.referenced,
                    format!(
                        "undefined receiver {:?} used in route; defined: {}",
                        name.value,
                        defined.join(", ")
                    ),
                );
            }
            name.value.clone()
        }
        _ => inherited.receiver.clone(),
    };
    let own_key = if inherited.key.is_empty() {
        "{}".to_owned()
    } else {
        format!("{}/{matchers}", inherited.key)
    };
    let handed_down = Inherited {
        key: own_key,
        receiver,
        group_by: raw.group_by.as_ref().map_or_else(
            || inherited.group_by.clone(),
            |names| group_by(source, names),
        ),
        group_wait_ms,
        group_interval_ms,
        repeat_interval_ms,
    };
    let routes = raw
        .routes
        .unwrap_or_default()
        .into_iter()
        .map(|child| route(source, child, &handed_down, receivers))
        .collect();
    Route {
        index: 0,
        key: handed_down.key,
        matchers,
        continues: raw.continues.is_some_and(|flag| flag.value),
        receiver: handed_down.receiver,
        group_by: handed_down.group_by,
        group_wait_ms,
        group_interval_ms,
        repeat_interval_ms,
        routes,
    }
}

fn route_matchers(source: &mut Source<'_>, raw: &RawRoute, place: Location) -> Matchers {
    let mut list = Vec::new();
    for (pairs, op) in [
        (&raw.equal, MatchOp::Equal),
        (&raw.match_re, MatchOp::Regex),
    ] {
        for (name, value) in pairs.iter().flat_map(|pairs| &pairs.0) {
            list.push(Matcher::new(name.value.clone(), op, value.value.clone()));
        }
    }
    for text in raw.matchers.iter().flatten() {
        match matcher::parse(&text.value) {
            Ok(parsed) => list.extend(parsed),
            Err(message) => source.error(text.referenced, message),
        }
    }
    Matchers::new(list).unwrap_or_else(|message| {
        source.error(place, message);
        Matchers::default()
    })
}

fn group_by(source: &mut Source<'_>, names: &[Spanned<String>]) -> GroupBy {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.value.as_str()) {
            source.error(
                name.referenced,
                format!("duplicated label {:?} in group_by", name.value),
            );
        }
        if name.value == "..." && names.len() > 1 {
            source.error(
                name.referenced,
                "cannot have wildcard group_by (`...`) and other labels at the same time",
            );
        }
        if name.value.is_empty() {
            source.error(name.referenced, "invalid label name \"\" in group_by list");
        }
    }
    if seen.contains("...") {
        GroupBy::All
    } else {
        GroupBy::Labels(seen.into_iter().map(str::to_owned).collect())
    }
}

fn receiver(
    source: &mut Source<'_>,
    raw: RawReceiver,
    global: &RawGlobal,
) -> Vec<IntegrationConfig> {
    let mut integrations = Vec::new();
    let receiver = &raw.name.value;
    for (index, email) in raw.email_configs.into_iter().flatten().enumerate() {
        let send_resolved = email.value.send_resolved.unwrap_or(false);
        if let Some(config) = email_config(source, email, global) {
            integrations.push(IntegrationConfig {
                id: format!("{receiver}/email[{index}]"),
                receiver: receiver.clone(),
                send_resolved,
                kind: IntegrationKind::Email(config),
            });
        }
    }
    for (index, webhook) in raw.webhook_configs.into_iter().flatten().enumerate() {
        let send_resolved = webhook.value.send_resolved.unwrap_or(true);
        if let Some(config) = webhook_config(source, webhook) {
            integrations.push(IntegrationConfig {
                id: format!("{receiver}/webhook[{index}]"),
                receiver: receiver.clone(),
                send_resolved,
                kind: IntegrationKind::Webhook(config),
            });
        }
    }
    integrations
}

fn email_config(
    source: &mut Source<'_>,
    raw: Spanned<RawEmail>,
    global: &RawGlobal,
) -> Option<EmailConfig> {
    let place = raw.referenced;
    let raw = raw.value;
    let to = addresses(
        source,
        raw.to.as_ref(),
        place,
        "missing to address in email config",
    );
    let from = raw.from.as_ref().or(global.smtp_from.as_ref());
    let from = addresses(
        source,
        from,
        place,
        "no from address set: smtp_from or from",
    );
    let smarthost = raw.smarthost.as_ref().or(global.smtp_smarthost.as_ref());
    let Some(smarthost) = smarthost else {
        source.error(place, "no mail server set: smtp_smarthost or smarthost");
        return None;
    };
    let Some((host, port)) = host_and_port(&smarthost.value) else {
        source.error(
            smarthost.referenced,
            format!(
                "{:?} is no host:port such as mail.example.org:587",
                smarthost.value
            ),
        );
        return None;
    };
    let (inline, file) = if raw.auth_password.is_some() || raw.auth_password_file.is_some() {
        (raw.auth_password, raw.auth_password_file)
    } else {
        (
            global.smtp_auth_password.clone(),
            global.smtp_auth_password_file.clone(),
        )
    };
    let password = secret(source, inline, file, "auth_password")?;
    Some(EmailConfig {
        to: to?,
        from: from?,
        host,
        port,
        hello: raw.hello.or_else(|| global.smtp_hello.clone()),
        username: raw
            .auth_username
            .or_else(|| global.smtp_auth_username.clone()),
        password,
        require_tls: raw.require_tls.or(global.smtp_require_tls).unwrap_or(true),
    })
}

fn addresses(
    source: &mut Source<'_>,
    text: Option<&Spanned<String>>,
    place: Location,
    missing: &str,
) -> Option<Mailboxes> {
    let Some(text) = text.filter(|text| !text.value.trim().is_empty()) else {
        source.error(place, missing);
        return None;
    };
    match text.value.parse::<Mailboxes>() {
        Ok(mailboxes) if mailboxes.iter().next().is_some() => Some(mailboxes),
        _ => {
            source.error(
                text.referenced,
                format!("{:?} is no list of mail addresses", text.value),
            );
            None
        }
    }
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().ok()?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// At most one of the two forms; the outer `None` is a mistake, noted.
fn secret(
    source: &mut Source<'_>,
    inline: Option<String>,
    file: Option<Spanned<String>>,
    name: &str,
) -> Option<Option<Secret>> {
    match (inline, file) {
        (Some(_), Some(file)) => {
            source.error(
                file.referenced,
                format!("at most one of {name} & {name}_file must be configured"),
            );
            None
        }
        (Some(secret), None) => Some(Some(Secret::Inline(secret))),
        (None, Some(file)) => Some(Some(Secret::File(file.value))),
        (None, None) => Some(None),
    }
}

fn webhook_config(source: &mut Source<'_>, raw: Spanned<RawWebhook>) -> Option<WebhookConfig> {
    let place = raw.referenced;
    let raw = raw.value;
    if let Some(url) = &raw.url {
        let usable = url::Url::parse(&url.value)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !usable {
            source.error(
                url.referenced,
                "the webhook's url must be http:// or https://",
            );
            return None;
        }
    }
    let url = secret(source, raw.url.map(|url| url.value), raw.url_file, "url")?;
    let Some(url) = url else {
        source.error(place, "one of url or url_file must be configured");
        return None;
    };
    Some(WebhookConfig {
        url,
        max_alerts: raw.max_alerts,
    })
}
