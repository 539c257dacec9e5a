//! Prometheus' own command line client, unchanged. Where it is missing the test says so and passes;
//! `.ci/run` installs it.

use std::process::Command;

use super::World;

/// What promtool prints, or why it failed; `None`, and a word about it, when there is none.
async fn promtool(arguments: &[&str]) -> Option<Result<String, String>> {
    let mut command = Command::new("promtool");
    command.arg("query").args(arguments);
    let ran = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap();
    let Ok(output) = ran else {
        println!("skipped: there is no promtool; .ci/run installs it with Debian's prometheus");
        return None;
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    })
}

#[tokio::test]
async fn promtool_queries() {
    let world = World::start().await;
    let root = format!("http://{}", world.server.addresses.http);
    let (start, end) = (world.seconds(60), world.seconds(0));
    let (time, start, end) = (
        format!("--time={end}"),
        format!("--start={start}"),
        format!("--end={end}"),
    );
    let at = world.last_ms / 1_000;
    for server in [root.clone(), format!("{root}/prometheus")] {
        for (arguments, expected) in [
            (
                vec!["instant", &time, &server, "up == 1"],
                format!("up{{instance=\"a:1\", job=\"api\"}} => 1 @[{at}]\n"),
            ),
            (
                vec!["instant", "-o", "json", &time, &server, "sum(up)"],
                format!("[{{\"metric\":{{}},\"value\":[{at},\"1\"]}}]\n"),
            ),
            (
                vec!["range", &start, &end, "--step=30s", &server, "sum(up)"],
                format!("{{}} =>\n1 @[{}]\n1 @[{}]\n1 @[{at}]\n", at - 60, at - 30),
            ),
            (
                vec!["series", "--match=up", &start, &end, &server],
                "{__name__=\"up\", instance=\"a:1\", job=\"api\"}\n\
                 {__name__=\"up\", instance=\"b:1\", job=\"api\"}\n"
                    .to_owned(),
            ),
            (
                vec!["labels", &start, &end, &server, "code"],
                "200\n500\n".to_owned(),
            ),
        ] {
            let arguments: Vec<&str> = arguments.into_iter().collect();
            let Some(printed) = promtool(&arguments).await else {
                return;
            };
            assert_eq!(printed.as_deref(), Ok(&*expected), "{arguments:?}");
        }
        let Some(refused) = promtool(&["instant", &server, "sum("]).await else {
            return;
        };
        let refused = refused.unwrap_err();
        assert!(refused.contains("bad_data"), "{refused}");
        assert!(refused.contains("parse error at column 5"), "{refused}");
    }
}
