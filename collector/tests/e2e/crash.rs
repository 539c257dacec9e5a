//! `kill -9` at any moment: what was acknowledged is found after the restart, once and whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::otlp::{self, logs, now, record};
use crate::server::{Home, Process};

const KILLS: u64 = 20;
const SENDERS: u64 = 4;
const RECORDS_PER_REQUEST: u64 = 20;

/// The numbers of all records in the store, and whether any is doubled or torn.
async fn stored(server: &Process) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut request = json!({"start": "now-1h", "end": "now+5m", "query": "service:crash", "limit": 5000, "order": "oldest"});
        if let Some(cursor) = cursor {
            request["cursor"] = cursor.into();
        }
        let page = server.post_json("/api/v1/logs/search", &request).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let page = page.json();
        for record in page["records"].as_array().unwrap() {
            let number = number_of(record);
            assert!(found.insert(number), "record {number} is doubled");
        }
        match page["cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return found,
        }
    }
}

/// A record's number, which its body and its attribute both carry.
fn number_of(record: &Value) -> u64 {
    let body = record["body"].as_str().unwrap();
    let number = body
        .strip_prefix("record ")
        .unwrap_or_else(|| panic!("torn: {record}"));
    assert_eq!(record["attributes"]["number"], number, "torn: {record}");
    number.parse().unwrap()
}

/// Sends batches until the server is gone; the numbers that were acknowledged.
async fn send_until_killed(url: String, next: Arc<AtomicU64>) -> Vec<u64> {
    let client = reqwest::Client::new();
    let mut acknowledged = Vec::new();
    loop {
        let first = next.fetch_add(RECORDS_PER_REQUEST, Ordering::Relaxed);
        let numbers: Vec<u64> = (first..first + RECORDS_PER_REQUEST).collect();
        let records = numbers
            .iter()
            .map(|number| {
                let text = number.to_string();
                record(now(), &format!("record {number}"), &[("number", &text)])
            })
            .collect();
        let sent = client
            .post(&url)
            .header("content-type", "application/x-protobuf")
            .body(otlp::body(&logs("crash", records)))
            .send()
            .await;
        match sent {
            Ok(answer) if answer.status() == 200 => acknowledged.extend(numbers),
            // Told to wait: not acknowledged, and nothing to find.
            Ok(answer) if answer.status() == 429 || answer.status() == 503 => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(answer) => panic!("unexpected answer {}", answer.status()),
            Err(_) => return acknowledged,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_record_survives_twenty_kills() {
    // Small heads, so that kills also meet sealing and publishing.
    let home = Home::new();
    let config = home.write(
        "watchkeeper.yaml",
        "heads: {max_age: 1s, row_group_rows: 1024, split_rows: 2048}\n",
    );
    let home = home.with_args(&["--config", config.to_str().unwrap()]);
    let next = Arc::new(AtomicU64::new(0));
    let mut acknowledged: BTreeSet<u64> = BTreeSet::new();
    for round in 0..KILLS {
        let server = home.start().await;
        let url = format!("http://{}/v1/logs", server.addresses.otlp_http);
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| tokio::spawn(send_until_killed(url.clone(), Arc::clone(&next))))
            .collect();
        // Each round is killed at another moment of its life.
        tokio::time::sleep(Duration::from_millis(120 + 70 * (round % 7))).await;
        server.kill();
        for sender in senders {
            acknowledged.extend(sender.await.unwrap());
        }
    }
    assert!(
        acknowledged.len() as u64 > KILLS * RECORDS_PER_REQUEST,
        "the test sent too little to show anything: {}",
        acknowledged.len()
    );
    let server = home.start().await;
    let found = stored(&server).await;
    let lost: Vec<&u64> = acknowledged.difference(&found).take(10).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let sent = next.load(Ordering::Relaxed);
    assert!(found.iter().all(|number| *number < sent));
}
