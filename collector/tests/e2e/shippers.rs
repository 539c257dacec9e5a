//! Programs that people ship logs with, as they are installed. A test whose program is missing
//! says so and passes; `.ci/run` installs them.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::server::{Home, OwnedChild, Server};

/// The Python that has a module; `None`, and a word about it, when there is none.
fn python_with(module: &str) -> Option<String> {
    let python = std::env::var("WATCHKEEPER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", &format!("import {module}")])
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: {python} has no {module}; .ci/run installs it");
        return None;
    }
    Some(python)
}

/// What a program prints; it must succeed.
async fn output(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

async fn run(python: &str, script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(python);
    command.args(["-c", script]).args(arguments);
    output(command).await
}

#[tokio::test]
async fn opentelemetry_for_python() {
    for (protocol, module) in [
        ("http", "opentelemetry.exporter.otlp.proto.http"),
        ("grpc", "opentelemetry.exporter.otlp.proto.grpc"),
    ] {
        let Some(python) = python_with(module) else {
            continue;
        };
        let server = Server::start().await;
        let address = match protocol {
            "http" => &server.addresses.otlp_http,
            _ => &server.addresses.otlp_grpc,
        };
        let script = include_str!("shippers/otel_logging.py");
        let trace_id = run(&python, script, &[protocol, address]).await;
        let service = format!("service:python-{protocol}");
        let found = server
            .search(&format!("{service} user:u1 trace_id:{}", trace_id.trim()))
            .await;
        assert_eq!(found.len(), 1, "{protocol}");
        assert_eq!(found[0]["body"], "payment 7 refused");
        assert_eq!(found[0]["attributes"]["attempts"], "3");
        assert_eq!(found[0]["severity_text"], "ERROR");
        let found = server
            .search(&format!("{service} exception.type:KeyError"))
            .await;
        assert_eq!(found.len(), 1, "{protocol}");
    }
}

#[tokio::test]
async fn python_logging_loki() {
    let Some(python) = python_with("logging_loki") else {
        return;
    };
    let server = Server::start().await;
    let script = include_str!("shippers/loki_handler.py");
    run(&python, script, &[&server.addresses.http]).await;
    let found = server
        .search("service:python-loki severity:error refused")
        .await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0]["resource"],
        json!({
            "application": "python-loki",
            "logger": "shop",
            "service.name": "python-loki",
            "severity": "error",
            "user": "u1",
        })
    );
    let labels = server.get("/loki/api/v1/labels").await.json();
    assert_eq!(
        labels["data"],
        json!(["application", "logger", "service_name", "severity", "user"])
    );
}

#[tokio::test]
async fn the_official_elasticsearch_client() {
    let Some(python) = python_with("elasticsearch") else {
        return;
    };
    let server = Server::start().await;
    let script = include_str!("shippers/elasticsearch_bulk.py");
    let printed = run(&python, script, &[&server.addresses.http]).await;
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["stored"], 1000);
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{report}");
    assert_eq!(errors[0]["index"]["status"], 400, "{report}");
    let found = server
        .search("service:python-elasticsearch severity:warn")
        .await;
    assert_eq!(found.len(), 1000);
    let found = server
        .search("number:999 elasticsearch.index:logs-python")
        .await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["body"], "document 999");
}

#[tokio::test]
async fn rsyslog_by_tcp_udp_and_bulk() {
    let rsyslogd = "/usr/sbin/rsyslogd";
    let module = "/usr/lib/x86_64-linux-gnu/rsyslog/omelasticsearch.so";
    if [rsyslogd, module]
        .iter()
        .any(|path| !std::path::Path::new(path).exists())
    {
        println!("skipped: {rsyslogd} or {module} is missing; .ci/run installs both");
        return;
    }
    let home = Home::new().with_config("syslog: {tcp: '127.0.0.1:0', udp: '127.0.0.1:0'}\n");
    let server = home.start().await;
    let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
    let config = include_str!("shippers/rsyslog.conf")
        .replace("WORK", home.path().to_str().unwrap())
        .replace(
            "TCP_PORT",
            &port(server.addresses.syslog_tcp.as_deref().unwrap()),
        )
        .replace(
            "UDP_PORT",
            &port(server.addresses.syslog_udp.as_deref().unwrap()),
        )
        .replace("HTTP_PORT", &port(&server.addresses.http));
    let config = home.write("rsyslog.conf", &config);
    home.write("input.log", "payment \"refused\" by issuer\n");
    let running = OwnedChild(
        Command::new(rsyslogd)
            .args(["-n", "-i", "NONE", "-f"])
            .arg(&config)
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let bulk = server
        .wait_for("service:rsyslog-elasticsearch refused", 1)
        .await;
    let syslog = server.wait_for("service:shop refused", 3).await;
    drop(running);
    assert_eq!(bulk[0]["severity_text"], "err");
    for record in syslog.iter().chain(&bulk) {
        let body = record["body"].as_str().unwrap();
        assert_eq!(
            body.trim_start(),
            "payment \"refused\" by issuer",
            "{record}"
        );
        assert_eq!(record["severity_number"], 17, "{record}");
    }
    for record in &syslog {
        assert_eq!(
            record["attributes"]["syslog.facility"], "local3",
            "{record}"
        );
    }
}
