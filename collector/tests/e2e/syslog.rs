//! Syslog over TCP and UDP.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};

use crate::server::{Home, Process};

const CONFIG: &str = "syslog: {tcp: '127.0.0.1:0', udp: '127.0.0.1:0'}\n";

async fn over_tcp(server: &Process, bytes: &[u8]) {
    let address = server.addresses.syslog_tcp.as_deref().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
}

async fn over_udp(server: &Process, messages: &[&str]) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = server.addresses.syslog_udp.as_deref().unwrap();
    for message in messages {
        socket.send_to(message.as_bytes(), address).await.unwrap();
    }
}

#[tokio::test]
async fn both_framings_and_both_rfcs_arrive_over_tcp() {
    let home = Home::new().with_config(CONFIG);
    let mut server = home.start().await;
    let counted = "<165>1 - web-1 shop 8710 ID47 [req@1 user=\"u1\"] payment\nrefused";
    let stream = format!(
        "{} {counted}<11>Jan  1 00:00:00 db-1 postgres[42]: relation is missing\n<13>1 - web-1 shop - - - unfinished",
        counted.len()
    );
    over_tcp(&server, stream.as_bytes()).await;
    for step in ["from the head", "after a crash"] {
        let found = server.wait_for("service:shop payment", 1).await;
        let record = &found[0];
        assert_eq!(record["body"], "payment\nrefused", "{step}");
        assert_eq!(
            record["resource"],
            json!({"host.name": "web-1", "service.name": "shop"})
        );
        assert_eq!(
            record["attributes"],
            json!({
                "syslog.facility": "local4",
                "syslog.procid": "8710",
                "syslog.msgid": "ID47",
                "syslog.sd.req@1.user": "u1",
                "network.peer.address": "127.0.0.1",
            })
        );
        assert_eq!(record["severity_number"], 10);
        assert_eq!(record["severity_text"], "notice");
        // The end of the stream ends a line too.
        server.wait_for("service:shop unfinished", 1).await;
        if step == "from the head" {
            server.kill();
            server = home.start().await;
        }
    }
}

#[tokio::test]
async fn datagrams_arrive() {
    let server = Home::new().with_config(CONFIG);
    let server = server.start().await;
    let messages: Vec<String> = (0..200)
        .map(|i| format!("<14>1 - h udpapp - - - datagram {i}"))
        .collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    over_udp(&server, &messages).await;
    server.wait_for("service:udpapp", 200).await;
    let metrics = server.get("/metrics").await.text;
    assert!(
        metrics.contains("watchkeeper_syslog_messages_total{transport=\"udp\"} 200"),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_has_arrived_when_the_server_stops_is_stored() {
    let home = Home::new().with_config(CONFIG);
    let server = home.start().await;
    let address = server.addresses.syslog_tcp.clone().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"<13>1 - h stopping - - - first\n<13>1 - h stopping - - - second\n")
        .await
        .unwrap();
    stream.flush().await.unwrap();
    // Once one message is there, the other has arrived as well.
    server.wait_for("service:stopping", 2).await;
    stream
        .write_all(b"<13>1 - h stopping - - - third\n")
        .await
        .unwrap();
    let ended = server.terminate().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let server = home.start().await;
    server.wait_for("service:stopping", 3).await;
}

#[tokio::test]
async fn the_configured_tenant_owns_the_messages() {
    let home = Home::new().with_config("syslog: {udp: '127.0.0.1:0', tenant: network}\n");
    let server = home.start().await;
    assert_eq!(server.addresses.syslog_tcp, None);
    over_udp(
        &server,
        &["<13>1 - h owned - - - x", "<13>1 - h owned - - - y"],
    )
    .await;
    let begun = std::time::Instant::now();
    loop {
        let request = server
            .request(reqwest::Method::POST, "/api/v1/logs/search")
            .header("x-scope-orgid", "network")
            .json(&json!({"start": "now-1h", "end": "now+5m", "query": "service:owned"}));
        let page = crate::server::answer(request).await.json();
        if page["records"].as_array().unwrap().len() == 2 {
            break;
        }
        assert!(begun.elapsed() < crate::server::PATIENCE, "{page}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(server.search("service:owned").await.is_empty());
}

#[tokio::test]
async fn a_message_announced_too_long_ends_its_connection_alone() {
    let home = Home::new().with_config(CONFIG);
    let server = home.start().await;
    over_tcp(
        &server,
        b"<13>1 - h long - - - before\n99999999 <13>1 - h long - - - x\n",
    )
    .await;
    over_tcp(&server, b"<13>1 - h long - - - after\n").await;
    server.wait_for("service:long", 2).await;
}
