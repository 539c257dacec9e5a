//! Accounts and tasks over HTTP.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::process::{Api, PASSWORD, User, expect};
use crate::receiver::Receiver;

#[tokio::test]
async fn a_task_lives_from_creation_to_deletion() {
    let receiver = Receiver::start().await;
    let api = Api::start(&receiver).await;
    let user = api.user("ann@example.org").await;
    let id = user
        .create(json!({"title": "one", "due_at": "2026-12-01T00:00:00Z"}))
        .await;
    let path = format!("/api/v1/tasks/{id}");

    let task = user.get(&path).await;
    assert_eq!(task["title"], "one");
    assert_eq!(task["status"], "open");
    assert_eq!(task["due_at"], "2026-12-01T00:00:00Z");

    let change = json!({"status": "done", "due_at": null});
    let answer = user
        .request(Method::PATCH, &path)
        .json(&change)
        .send()
        .await
        .unwrap();
    let task = expect(StatusCode::OK, answer).await;
    assert_eq!(
        (
            task["title"].as_str(),
            task["status"].as_str(),
            &task["due_at"]
        ),
        (Some("one"), Some("done"), &Value::Null)
    );

    let answer = user.request(Method::DELETE, &path).send().await.unwrap();
    expect(StatusCode::NO_CONTENT, answer).await;
    for method in [Method::GET, Method::DELETE] {
        let answer = user.request(method, &path).send().await.unwrap();
        expect(StatusCode::NOT_FOUND, answer).await;
    }
}

#[tokio::test]
async fn pages_cover_every_task_once_newest_first() {
    let receiver = Receiver::start().await;
    let api = Api::start(&receiver).await;
    let user = api.user("ann@example.org").await;
    let mut created = Vec::new();
    for number in 0..7 {
        let status = if number % 2 == 0 { "open" } else { "done" };
        created.push(
            user.create(json!({"title": format!("t{number}"), "status": status}))
                .await,
        );
    }
    let mut all = pages(&user, "/api/v1/tasks?limit=3").await;
    assert_eq!(all.len(), 7);
    all.sort();
    let mut expected = created.clone();
    expected.sort();
    assert_eq!(all, expected);

    let mut done = pages(&user, "/api/v1/tasks?limit=2&status=done").await;
    done.sort();
    let mut expected: Vec<_> = created.iter().skip(1).step_by(2).cloned().collect();
    expected.sort();
    assert_eq!(done, expected);
}

/// Ids of all pages of `path`, in order; each page is sorted newest first.
async fn pages(user: &User<'_>, path: &str) -> Vec<String> {
    let (mut ids, mut next) = (Vec::new(), path.to_owned());
    loop {
        let page = user.get(&next).await;
        let tasks = page["tasks"].as_array().unwrap();
        let times: Vec<_> = tasks
            .iter()
            .map(|task| task["created_at"].as_str().unwrap())
            .collect();
        // Zeros at the end of a fraction are not written, so times do not compare as texts.
        let instants: Vec<jiff::Timestamp> =
            times.iter().map(|time| time.parse().unwrap()).collect();
        assert!(instants.is_sorted_by(|a, b| a >= b), "{times:?}");
        ids.extend(
            tasks
                .iter()
                .map(|task| task["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("{path}&cursor={cursor}"),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn nobody_reaches_the_tasks_of_another() {
    let receiver = Receiver::start().await;
    let api = Api::start(&receiver).await;
    let (ann, ben) = (
        api.user("ann@example.org").await,
        api.user("ben@example.org").await,
    );
    let path = format!(
        "/api/v1/tasks/{}",
        ann.create(json!({"title": "secret"})).await
    );
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let request = ben.request(method.clone(), &path).json(&json!({}));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method}");
    }
    assert_eq!(ben.get("/api/v1/tasks").await["tasks"], json!([]));
    assert_eq!(ann.get(&path).await["title"], "secret");
}

#[tokio::test]
async fn bad_requests_are_answered_with_what_to_change() {
    let receiver = Receiver::start().await;
    let api = Api::start(&receiver).await;
    let user = api.user("ann@example.org").await;
    let long = "x".repeat(201);
    let cases: &[(Method, &str, Value, u16, &str)] = &[
        (
            Method::POST,
            "/api/v1/tasks",
            json!({"title": ""}),
            422,
            "1 to 200 characters; got 0",
        ),
        (
            Method::POST,
            "/api/v1/tasks",
            json!({"title": long}),
            422,
            "got 201",
        ),
        (
            Method::POST,
            "/api/v1/tasks",
            json!({"title": "a\u{0}b"}),
            422,
            "NUL",
        ),
        (
            Method::POST,
            "/api/v1/tasks",
            json!({"titel": "x"}),
            422,
            "unknown field `titel`",
        ),
        (
            Method::POST,
            "/api/v1/tasks",
            json!({"title": 7}),
            422,
            "expected a string",
        ),
        (
            Method::POST,
            "/api/v1/tasks",
            json!({"title": "x", "due_at": "soon"}),
            422,
            "soon",
        ),
        (
            Method::GET,
            "/api/v1/tasks?status=lost",
            Value::Null,
            400,
            "`in_progress`",
        ),
        (
            Method::GET,
            "/api/v1/tasks?limit=0",
            Value::Null,
            422,
            "1 to 200; got 0",
        ),
        (
            Method::GET,
            "/api/v1/tasks?cursor=zzz",
            Value::Null,
            422,
            "next_cursor",
        ),
        (Method::GET, "/api/v1/tasks/7", Value::Null, 400, "UUID"),
        (
            Method::GET,
            "/api/v1/nothing",
            Value::Null,
            404,
            "not found",
        ),
        (
            Method::POST,
            "/api/v1/register",
            json!({"email": "ann", "password": "short"}),
            422,
            "ann@example.org",
        ),
        (
            Method::POST,
            "/api/v1/register",
            json!({"email": " ANN@example.org", "password": PASSWORD}),
            409,
            "exists already",
        ),
        (
            Method::POST,
            "/api/v1/login",
            json!({"email": "ann@example.org", "password": "wrong horse"}),
            401,
            "wrong e-mail address or password",
        ),
        (
            Method::POST,
            "/api/v1/login",
            json!({"email": "nobody@example.org", "password": PASSWORD}),
            401,
            "wrong e-mail address or password",
        ),
    ];
    for (method, path, body, status, hint) in cases {
        let mut request = user.request(method.clone(), path);
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let got = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(got.as_u16(), *status, "{method} {path} {body}: {text}");
        assert!(
            text.contains(hint),
            "{method} {path} {body}: {hint:?} is not in {text}"
        );
        let error: Value = serde_json::from_str(&text).unwrap();
        assert!(error["error"]["code"].is_string(), "{text}");
    }
    let broken = user
        .request(Method::POST, "/api/v1/tasks")
        .header("content-type", "application/json");
    let answer = broken.body("{\"title\": ").send().await.unwrap();
    expect(StatusCode::BAD_REQUEST, answer).await;
}

#[tokio::test]
async fn a_token_is_needed_and_must_be_ours() {
    let receiver = Receiver::start().await;
    let api = Api::start(&receiver).await;
    let user = api.user("ann@example.org").await;
    let forged = format!("{}x", user.token);
    for header in [
        "",
        "Basic YTpi",
        "Bearer ",
        "Bearer abc",
        &format!("Bearer {forged}"),
    ] {
        let request = api
            .request(Method::GET, "/api/v1/tasks")
            .header("authorization", header);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{header:?}");
    }
}
