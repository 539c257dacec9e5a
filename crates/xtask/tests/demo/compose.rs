//! docker-compose.yml without Docker: that its parts exist and fit together.

use std::collections::BTreeSet;

use serde_json::Value;
use xtask::workspace;

fn compose() -> Value {
    let path = workspace::root().unwrap().join("docker-compose.yml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn services(compose: &Value) -> impl Iterator<Item = (&String, &Value)> {
    compose["services"].as_object().unwrap().iter()
}

/// The strings of a list; empty when there is none.
fn strings(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn the_stack_has_every_part() {
    let compose = compose();
    let names: BTreeSet<_> = services(&compose).map(|(name, _)| name.as_str()).collect();
    let expected = [
        "grafana",
        "mailpit",
        "postgres-primary",
        "postgres-standby",
        "task-api-1",
        "task-api-2",
        "watchkeeper",
    ];
    assert_eq!(names, expected.into());
}

#[test]
fn every_service_has_an_image_and_every_dockerfile_exists() {
    let root = workspace::root().unwrap();
    for (name, service) in services(&compose()) {
        assert!(service["image"].is_string(), "{name} has no image");
        if let Some(file) = service["build"]["dockerfile"].as_str() {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            let package = text
                .split(" -p ")
                .nth(1)
                .and_then(|rest| rest.split_whitespace().next());
            let manifest = std::fs::read_to_string(root.join("Cargo.lock")).unwrap();
            let wanted = format!("name = \"{}\"", package.unwrap());
            assert!(
                manifest.contains(&wanted),
                "{file} builds no package of ours"
            );
        } else {
            assert!(
                !service["image"]
                    .as_str()
                    .unwrap()
                    .starts_with("watchkeeper/"),
                "{name}"
            );
        }
    }
}

#[test]
fn every_dependency_volume_and_mounted_file_exists() {
    let (root, compose) = (workspace::root().unwrap(), compose());
    for (name, service) in services(&compose) {
        let listed = strings(&service["depends_on"])
            .into_iter()
            .map(ToOwned::to_owned);
        let mapped = service["depends_on"].as_object().into_iter().flatten();
        for dependency in listed.chain(mapped.map(|(name, _)| name.clone())) {
            assert!(
                compose["services"].get(&dependency).is_some(),
                "{name} → {dependency}"
            );
        }
        for mount in strings(&service["volumes"]) {
            let source = mount.split(':').next().unwrap();
            let found = match source.starts_with('.') {
                true => root.join(source).exists(),
                false => compose["volumes"].get(source).is_some(),
            };
            assert!(found, "{name} mounts {source}, which does not exist");
        }
    }
}

#[test]
fn ports_are_published_on_this_machine_alone_and_once() {
    let compose = compose();
    let mut published = BTreeSet::new();
    for (name, service) in services(&compose) {
        for port in strings(&service["ports"]) {
            let parts: Vec<_> = port.split(':').collect();
            assert_eq!((parts.len(), parts[0]), (3, "127.0.0.1"), "{name}: {port}");
            assert!(
                published.insert(parts[1].to_owned()),
                "{name}: {port} is published twice"
            );
        }
    }
}

#[test]
fn addresses_name_services_of_the_stack() {
    let compose = compose();
    for (name, service) in services(&compose) {
        for (key, value) in service["environment"].as_object().into_iter().flatten() {
            let Some((_, rest)) = value.as_str().and_then(|text| text.split_once("://")) else {
                continue;
            };
            let host = rest
                .rsplit('@')
                .next()
                .unwrap()
                .split([':', '/'])
                .next()
                .unwrap();
            assert!(
                compose["services"].get(host).is_some(),
                "{name}: {key} names {host:?}"
            );
        }
    }
    let root = workspace::root().unwrap();
    let notify = std::fs::read_to_string(root.join("deploy/compose/notify.yml")).unwrap();
    let demo = std::fs::read_to_string(root.join("deploy/demo/notify.yml")).unwrap();
    let routes = |text: &str| text.split_once("route:").unwrap().1.to_owned();
    assert!(notify.contains("smtp_smarthost: mailpit:1025"));
    assert_eq!(
        routes(&notify),
        routes(&demo),
        "demo and compose notify differently"
    );
}

#[test]
fn both_instances_differ_only_in_their_name_and_port() {
    let compose = compose();
    let [mut one, mut two] =
        ["task-api-1", "task-api-2"].map(|name| compose["services"][name].clone());
    assert_ne!(
        one["environment"]["TASK_API_INSTANCE_ID"],
        two["environment"]["TASK_API_INSTANCE_ID"]
    );
    for service in [&mut one, &mut two] {
        assert!(
            service["environment"]["REPLICA_DATABASE_URL"].is_string(),
            "merge keys are lost"
        );
        service["environment"]["TASK_API_INSTANCE_ID"] = Value::Null;
        service["ports"] = Value::Null;
    }
    assert_eq!(one, two);
}
