//! On a real PostgreSQL primary and streaming standby: where reads go, and what lag looks like.

use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, metric::Data, number_data_point};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use xtask::postgres::{Binaries, PostgresPair};

use crate::process::{Api, eventually};
use crate::receiver::{Receiver, attribute};

/// A pair in a folder of its own; `None`, said aloud, where PostgreSQL is not installed.
async fn pair() -> Option<(PostgresPair, TempDir)> {
    let Some(binaries) = Binaries::find() else {
        eprintln!("SKIPPED: no PostgreSQL server programs here (apt install postgresql)");
        return None;
    };
    let folder = tempfile::Builder::new()
        .prefix("task-api-pg-")
        .tempdir()
        .unwrap();
    // `tempdir` is private to us; the user postgres has to pass through it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let pair = PostgresPair::start(&binaries, &folder.path().join("pair"))
        .await
        .unwrap();
    Some((pair, folder))
}

async fn start(receiver: &Receiver, pair: &PostgresPair) -> Api {
    let (primary, standby) = (pair.primary_url(), pair.standby_url());
    let environment = [
        ("DATABASE_URL", primary.as_str()),
        ("REPLICA_DATABASE_URL", &standby),
    ];
    Api::start_with(receiver, &environment).await
}

/// How many `SELECT tasks` each pool has answered.
async fn reads(api: &Api, pool: &str) -> u64 {
    let labels = format!(
        "db_client_operation_duration_seconds_count{{db_system_name=\"postgresql\",\
         db_operation_name=\"SELECT\",db_collection_name=\"tasks\",\
         db_client_connection_pool_name=\"{pool}\"}} "
    );
    let scraped = api.scrape().await;
    let line = scraped.lines().find_map(|line| line.strip_prefix(&labels));
    line.map_or(0, |count| count.parse().unwrap())
}

fn gauge(point: &NumberDataPoint) -> f64 {
    match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        None => panic!("a point without a value"),
    }
}

async fn wait_for(receiver: &Receiver, name: &str, holds: impl Fn(f64) -> bool) -> NumberDataPoint {
    receiver
        .metric(name, |metric| {
            let Some(Data::Gauge(data)) = &metric.data else {
                panic!("{metric:?}")
            };
            data.data_points
                .iter()
                .find(|point| holds(gauge(point)))
                .cloned()
        })
        .await
}

#[tokio::test]
async fn a_user_reads_his_writes_while_the_replica_is_behind() {
    let Some((pair, _folder)) = pair().await else {
        return;
    };
    let receiver = Receiver::start().await;
    let api = start(&receiver, &pair).await;
    let user = api.user("ann@example.org").await;

    // Caught up: reads go to the replica and find the task there.
    let first = user.create(json!({"title": "first"})).await;
    eventually("a read is answered by the replica", || async {
        assert_eq!(
            user.get(&format!("/api/v1/tasks/{first}")).await["title"],
            "first"
        );
        (reads(&api, "replica").await > 0).then_some(())
    })
    .await;

    // Paused: what was written since is read from the primary, by him alone.
    let other = api.user("ben@example.org").await;
    eventually("the replica has the second account", || async {
        let before = reads(&api, "replica").await;
        other.get("/api/v1/tasks").await;
        (reads(&api, "replica").await > before).then_some(())
    })
    .await;
    pair.standby_admin().pause_replay().await.unwrap();
    let second = user.create(json!({"title": "second"})).await;
    let from_primary = reads(&api, "primary").await;
    assert_eq!(
        user.get(&format!("/api/v1/tasks/{second}")).await["title"],
        "second"
    );
    assert_eq!(reads(&api, "primary").await, from_primary + 1);
    let from_replica = reads(&api, "replica").await;
    other.get("/api/v1/tasks").await;
    assert_eq!(reads(&api, "replica").await, from_replica + 1);

    // Resumed: back to the replica.
    pair.standby_admin().resume_replay().await.unwrap();
    eventually("the replica answers again", || async {
        let before = reads(&api, "replica").await;
        assert_eq!(
            user.get(&format!("/api/v1/tasks/{second}")).await["title"],
            "second"
        );
        (reads(&api, "replica").await > before).then_some(())
    })
    .await;
    drop(api);
    pair.stop().await.unwrap();
}

#[tokio::test]
async fn a_write_on_one_instance_is_read_on_another_by_its_position() {
    let Some((pair, _folder)) = pair().await else {
        return;
    };
    let receiver = Receiver::start().await;
    let shared = [
        ("TASK_API_JWT_SECRET", "shared"),
        ("TASK_API_INSTANCE_ID", "test-2"),
    ];
    let (primary, standby) = (pair.primary_url(), pair.standby_url());
    let databases = [
        ("DATABASE_URL", primary.as_str()),
        ("REPLICA_DATABASE_URL", &standby),
    ];
    let environment = [shared, databases].concat();
    let one = Api::start_with(&receiver, &environment).await;
    let two = Api::start_with(&receiver, &environment).await;
    let user = one.user("ann@example.org").await;
    let list = || {
        two.request(Method::GET, "/api/v1/tasks")
            .bearer_auth(&user.token)
    };
    eventually("the replica has the tables", || async {
        list()
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
            .then_some(())
    })
    .await;
    pair.standby_admin().pause_replay().await.unwrap();

    let create = user
        .request(Method::POST, "/api/v1/tasks")
        .json(&json!({"title": "new"}));
    let answer = create.send().await.unwrap().error_for_status().unwrap();
    let position = answer.headers()["x-read-after"]
        .to_str()
        .unwrap()
        .to_owned();
    let list = || {
        two.request(Method::GET, "/api/v1/tasks")
            .bearer_auth(&user.token)
    };
    let count = |answer: reqwest::Response| async {
        let page: serde_json::Value = answer.json().await.unwrap();
        page["tasks"].as_array().unwrap().len()
    };
    assert_eq!(
        count(list().send().await.unwrap()).await,
        0,
        "the paused replica is empty"
    );
    let exact = list()
        .header("x-read-after", position)
        .send()
        .await
        .unwrap();
    assert_eq!(count(exact).await, 1);
}

#[tokio::test]
async fn lag_grows_in_seconds_and_bytes_while_replay_is_paused() {
    let Some((pair, _folder)) = pair().await else {
        return;
    };
    let receiver = Receiver::start().await;
    let api = start(&receiver, &pair).await;
    let user = api.user("ann@example.org").await;
    let lag = wait_for(&receiver, "task_api.replication.lag", |seconds| {
        seconds < 1.0
    })
    .await;
    let replica = attribute(&lag.attributes, "replica").unwrap();
    assert!(pair.standby_url().contains(&replica), "{replica}");

    pair.standby_admin().pause_replay().await.unwrap();
    user.create(json!({"title": "x", "description": "y".repeat(9000)}))
        .await;
    wait_for(&receiver, "task_api.replication.lag", |seconds| {
        seconds > 2.0
    })
    .await;
    wait_for(&receiver, "task_api.replication.backlog", |bytes| {
        bytes > 9000.0
    })
    .await;
    let scraped = api.scrape().await;
    assert!(
        scraped.contains("task_api_replication_lag_seconds{replica="),
        "{scraped}"
    );

    pair.standby_admin().resume_replay().await.unwrap();
    wait_for(&receiver, "task_api.replication.lag", |seconds| {
        seconds < 1.0
    })
    .await;
    wait_for(&receiver, "task_api.replication.backlog", |bytes| {
        bytes < 9000.0
    })
    .await;
}

#[tokio::test]
async fn reads_survive_the_loss_of_the_replica() {
    let Some((pair, _folder)) = pair().await else {
        return;
    };
    let receiver = Receiver::start().await;
    let environment = [
        ("DATABASE_URL", pair.primary_url()),
        ("REPLICA_DATABASE_URL", gone(&pair)),
    ];
    let environment = environment
        .each_ref()
        .map(|(key, value)| (*key, value.as_str()));
    let api = Api::start_with(&receiver, &environment).await;
    let user = api.user("ann@example.org").await;
    assert_eq!(user.get("/api/v1/tasks").await["tasks"], json!([]));
    let said = async |severity: &str, text: &str| {
        receiver
            .record(text, |record| {
                record.severity_text == severity && format!("{:?}", record.body).contains(text)
            })
            .await
    };
    said("WARN", "reading from the primary").await;
    said("WARN", "replication lag could not be measured").await;
    // Each of these follows a statement, after which the driver asks whether it may log.
    said("WARN", "no TASK_API_JWT_SECRET").await;
    said("INFO", "account registered").await;
    said("INFO", "GET /api/v1/tasks answered 200").await;
}

/// The standby's address with a port on which nobody listens.
fn gone(pair: &PostgresPair) -> String {
    let url = pair.standby_url();
    let (before, _) = url.rsplit_once(':').unwrap();
    format!("{before}:1/tasks")
}
