//! Mail: one message per recipient and notice, as text and HTML, threaded by incident.

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};

use crate::snapshot::format_exponent;
use crate::state_store::{NotifiedAlert, OutboxEntry};
use crate::template::escape_html;

use super::config::EmailConfig;
use super::links;
use super::message::Message;
use super::sender::{Attempt, Failure};

/// How long a mail server may take for one step of the conversation.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends `entry` to every recipient that is not settled yet.
///
/// Recipients are independent: one that is refused for good (5xx) or for now (4xx) keeps none of
/// the others from getting the mail, and a retry goes only to those who have not got it.
pub(crate) async fn send(config: &EmailConfig, entry: &OutboxEntry, external_url: &str) -> Attempt {
    let mut attempt = Attempt::default();
    let transport = match transport(config).await {
        Ok(transport) => transport,
        Err(message) => {
            attempt.failure = Some(Failure::Temporary {
                message,
                retry_after: None,
            });
            return attempt;
        }
    };
    for recipient in config.to.iter() {
        let address = recipient.email.to_string();
        if entry.settled.contains(&address) {
            continue;
        }
        let mail = match build(config, recipient, entry, external_url) {
            Ok(mail) => mail,
            Err(message) => {
                attempt.settle(address, Some(message));
                continue;
            }
        };
        match transport.send(mail).await {
            Ok(_) => attempt.settle(address, None),
            Err(error) if refuses_the_mailbox(&error) => {
                attempt.settle(
                    address.clone(),
                    Some(format!("{address}: {}", chain(&error))),
                );
            }
            Err(error) => attempt.postpone(format!("{address}: {}", chain(&error))),
        }
    }
    attempt
}

/// Whether the server has said that this mailbox will never take the message (550 to 553). Every
/// other refusal, of a login or a sender say, is for us to mend, and the page waits until we have.
fn refuses_the_mailbox(error: &lettre::transport::smtp::Error) -> bool {
    error
        .status()
        .is_some_and(|code| matches!(u16::from(code), 550..=553))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

async fn transport(config: &EmailConfig) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
        .port(config.port)
        .timeout(Some(TIMEOUT));
    let parameters = || TlsParameters::new(config.host.clone()).map_err(|error| chain(&error));
    let tls = match (config.port, config.require_tls) {
        (465, _) => Tls::Wrapper(parameters()?),
        (_, true) => Tls::Required(parameters()?),
        (_, false) => Tls::None,
    };
    let encrypted = !matches!(tls, Tls::None);
    builder = builder.tls(tls);
    if let Some(hello) = &config.hello {
        builder = builder.hello_name(ClientId::Domain(hello.clone()));
    }
    if let (Some(username), Some(password)) = (&config.username, &config.password) {
        if !encrypted {
            return Err("a password is not sent without TLS; set require_tls".to_owned());
        }
        let password = password.read().await?;
        builder = builder.credentials(Credentials::new(username.clone(), password));
    }
    Ok(builder.build())
}

fn build(
    config: &EmailConfig,
    recipient: &Mailbox,
    entry: &OutboxEntry,
    external_url: &str,
) -> Result<Mail, String> {
    let message = Message::new(entry);
    let mut builder = Mail::builder()
        .to(recipient.clone())
        .subject(message.subject())
        .message_id(Some(header_id(&entry.id)))
        .date(instant(entry.created_at));
    for from in config.from.iter() {
        builder = builder.from(from.clone());
    }
    if entry.thread != entry.id {
        let thread = header_id(&entry.thread);
        builder = builder.in_reply_to(thread.clone()).references(thread);
    }
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let mail = builder
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .multipart(MultiPart::alternative_plain_html(
            text_body(&message, external_url),
            html_body(&message, external_url),
        ));
    mail.map_err(|error| error.to_string())
}

fn header_id(id: &str) -> String {
    format!("<{id}@watchkeeper>")
}

fn instant(at: i64) -> std::time::SystemTime {
    std::time::UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or(0))
}

/// The lines that both forms say about an alert, apart from labels, annotations and the link.
fn facts(alert: &NotifiedAlert) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Value", readable(alert.value)),
        ("Since", links::format_time(alert.active_at)),
        ("Fired at", links::format_time(alert.fired_at)),
    ];
    if let Some(at) = alert.resolved_at {
        facts.push(("Resolved at", links::format_time(at)));
    }
    facts
}

/// A number as people write it, unless it is very large or very small.
fn readable(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format_exponent(value);
    }
    let text = format!("{value:.6}");
    let trimmed = text.trim_end_matches('0').trim_end_matches('.');
    trimmed.to_owned()
}

/// The annotations people read; the query of the link is for the link.
fn shown_annotations(alert: &NotifiedAlert) -> impl Iterator<Item = (&str, &str)> {
    alert
        .annotations
        .iter()
        .filter(|(name, _)| *name != "logs_query")
}

fn name_of(alert: &NotifiedAlert) -> &str {
    alert.labels.get("alertname").unwrap_or("alert")
}

fn text_body(message: &Message<'_>, external_url: &str) -> String {
    let mut out = message.subject();
    out.push('\n');
    for (title, alerts) in [("Firing", &message.firing), ("Resolved", &message.resolved)] {
        if alerts.is_empty() {
            continue;
        }
        out.push_str(&format!("\n{title}\n"));
        for alert in alerts {
            out.push_str(&format!("\n{}\n", name_of(alert)));
            for (name, value) in shown_annotations(alert) {
                out.push_str(&format!("  {name}: {value}\n"));
            }
            for (name, value) in facts(alert) {
                out.push_str(&format!("  {name}: {value}\n"));
            }
            out.push_str("  Labels:\n");
            for (name, value) in alert.labels.iter() {
                out.push_str(&format!("    {name} = {value}\n"));
            }
            let link = links::logs(external_url, alert, message.entry.created_at);
            out.push_str(&format!("  Logs: {link}\n"));
        }
    }
    out.push_str(&format!(
        "\nAll alerts: {}/ui/alerts\n",
        external_url.trim_end_matches('/')
    ));
    out
}

fn html_body(message: &Message<'_>, external_url: &str) -> String {
    let mut out = format!(
        "<!doctype html><html><body style=\"font-family:sans-serif\"><h2>{}</h2>",
        escape_html(&message.subject())
    );
    let sections = [
        ("Firing", "#b42318", &message.firing),
        ("Resolved", "#067647", &message.resolved),
    ];
    for (title, colour, alerts) in sections {
        if alerts.is_empty() {
            continue;
        }
        out.push_str(&format!("<h3 style=\"color:{colour}\">{title}</h3>"));
        for alert in alerts {
            out.push_str(&html_alert(alert, colour, message.entry, external_url));
        }
    }
    out.push_str(&format!(
        "<p><a href=\"{}/ui/alerts\">All alerts</a></p></body></html>",
        escape_html(external_url.trim_end_matches('/'))
    ));
    out
}

fn html_alert(
    alert: &NotifiedAlert,
    colour: &str,
    entry: &OutboxEntry,
    external_url: &str,
) -> String {
    let mut rows = String::new();
    let mut row = |name: &str, value: &str| {
        rows.push_str(&format!(
            "<tr><td style=\"color:#666;padding-right:12px\">{}</td><td>{}</td></tr>",
            escape_html(name),
            escape_html(value)
        ));
    };
    for (name, value) in shown_annotations(alert) {
        row(name, value);
    }
    for (name, value) in facts(alert) {
        row(name, &value);
    }
    for (name, value) in alert.labels.iter() {
        row(name, value);
    }
    let link = links::logs(external_url, alert, entry.created_at);
    format!(
        "<div style=\"border-left:4px solid {colour};padding-left:12px;margin-bottom:16px\">\
         <p><b>{}</b></p><table>{rows}</table><p><a href=\"{}\">Logs of this alert</a></p></div>",
        escape_html(name_of(alert)),
        escape_html(&link),
    )
}
