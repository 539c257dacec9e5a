//! The provisioning files name what the dashboards ask for.

const DATA_SOURCES: &str = include_str!("../../provisioning/datasources/watchkeeper.yaml");
const PROVIDER: &str = include_str!("../../provisioning/dashboards/watchkeeper.yaml");
const COMPOSE: &str = include_str!("../../../docker-compose.yml");

#[test]
fn the_data_sources_are_metrics_and_logs_under_their_prefixes() {
    for line in [
        "    uid: watchkeeper-metrics",
        "    type: prometheus",
        "    url: $WATCHKEEPER_URL/prometheus",
        "    uid: watchkeeper-logs",
        "    type: loki",
        "    url: $WATCHKEEPER_URL",
        "      manageAlerts: false",
    ] {
        assert!(
            DATA_SOURCES.lines().any(|given| given == line),
            "{line:?} is missing"
        );
    }
}

#[test]
fn the_provider_reads_the_folder_that_compose_mounts() {
    let path = PROVIDER
        .lines()
        .find_map(|line| line.trim().strip_prefix("path: "));
    let path = path.expect("the provider names a path");
    assert!(
        COMPOSE.contains(path),
        "{path} is not in docker-compose.yml"
    );
    assert!(
        COMPOSE.contains("WATCHKEEPER_URL"),
        "compose does not say where Watchkeeper is"
    );
}
