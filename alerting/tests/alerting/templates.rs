//! Templates, by data.

use std::collections::BTreeMap;

use alerting::template::{Context, Sample, Template, TemplateError, Value};
use model::Labels;

use crate::conformance;

fn context<'a>(answers: &'a BTreeMap<String, Result<Vec<Sample>, String>>) -> Context<'a> {
    Context {
        now: 1_353_755_652_000,
        external_url: "http://testhost:9090/path/prefix",
        html: false,
        missing_key_is_error: false,
        answers,
    }
}

fn expand(text: &str) -> Result<String, TemplateError> {
    let labels = Labels::new([("job", "api"), ("instance", "a:80")]);
    let data = Value::Map(BTreeMap::from([
        ("Labels".to_owned(), Value::from(&labels)),
        ("Value".to_owned(), Value::Float(0.123)),
    ]));
    let variables = [
        ("labels", Value::from(&labels)),
        ("value", Value::Float(0.123)),
    ];
    Template::parse(text, &["labels", "value"])?.execute(
        &data,
        &variables,
        &context(&BTreeMap::new()),
    )
}

#[test]
fn templates_expand() {
    let cases = [
        ("{{ $value }} {{ .Value }}", "0.123 0.123"),
        (
            "{{ $labels.job }}/{{ .Labels.instance }}/{{ $labels.gone }}",
            "api/a:80/",
        ),
        ("{{ $value | humanizePercentage }}", "12.3%"),
        ("a {{- 1 -}} b", "a1b"),
        ("a {{ /* not shown */ }}b{{- /* nor this */ -}} c", "a bc"),
        (
            "{{ if gt $value 0.5 }}high{{ else if gt $value 0.1 }}mid{{ else }}low{{ end }}",
            "mid",
        ),
        (
            "{{ with $labels.gone }}{{ . }}{{ else }}none{{ end }}",
            "none",
        ),
        (
            "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
            "instance=a:80;job=api;",
        ),
        (
            "{{ range 3 }}{{ . }}{{ if eq . 1 }}{{ break }}{{ end }}{{ end }}",
            "01",
        ),
        (
            "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}",
            "2",
        ),
        (
            "{{ printf \"%5.1f|%-4s|%04d|%q|%v\" 1.25 \"ab\" 7 \"x\" true }}",
            "  1.2|ab  |0007|\"x\"|true",
        ),
        ("{{ printf \"%d\" 1.5 }}", "%!d(float64=1.5)"),
        ("{{ and 1 0 }}{{ or 0 \"x\" }}{{ not true }}", "0xfalse"),
        (
            "{{ len \"abc\" }}{{ index (stringSlice \"a\" \"b\") 1 }}",
            "3b",
        ),
        (
            "{{ 1e6 }} {{ 123456.0 }} {{ 0.00001 }}",
            "1e+06 123456 1e-05",
        ),
        (
            "{{ `raw \\n` }}{{ \"\\u00e9\\t\" }}{{ 'a' }}",
            "raw \\né\t97",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn mistakes_are_found_when_a_template_is_parsed() {
    let cases = [
        ("{{ $label.foo }}", "undefined variable \"$label\""),
        (
            "line\n{{ nope 1 }}",
            "line 2: function \"nope\" not defined",
        ),
        ("{{ if 1 }}", "unclosed {{if}}"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{", "unclosed action"),
        ("{{ 1 2 }}", "can't give argument to non-function"),
        ("{{ | }}", "unexpected"),
        ("{{ \"a }}", "unterminated quoted string"),
        ("{{ break }}", "outside {{range}}"),
    ];
    for (text, expected) in cases {
        let message = expand(text).expect_err(text).to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(expand(&deep).is_err());
}

#[test]
fn execution_is_bounded() {
    let endless = "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}";
    let long = "{{ range 90000 }}{{ range 90000 }}x{{ end }}{{ end }}";
    let wide = "{{ range 1000 }}{{ printf \"%1000d\" 1 }}{{ end }}";
    for text in [endless, long, wide] {
        assert!(
            matches!(expand(text), Err(TemplateError::Execution(_))),
            "{text}"
        );
    }
}

#[test]
fn a_query_without_an_answer_asks_for_it() {
    assert_eq!(
        expand("{{ query \"up\" | first | value }}"),
        Err(TemplateError::NeedsAnswer("up".to_owned()))
    );
}

#[test]
fn prometheus_own_template_cases_pass() {
    let Some(folder) = conformance::folder("template expansion") else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("templates/template_expansion.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let failures: Vec<String> = cases.iter().filter_map(failure).collect();
    conformance::report("template expansion", &failures, cases.len(), 77);
}

fn failure(case: &serde_json::Value) -> Option<String> {
    let text = case["text"].as_str().unwrap();
    let samples: Vec<Sample> = case["query_result"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|sample| Sample {
            labels: serde_json::from_value::<BTreeMap<String, String>>(sample["labels"].clone())
                .unwrap()
                .into_iter()
                .collect(),
            value: sample["value"].as_f64().unwrap(),
        })
        .collect();
    let mut answers = BTreeMap::new();
    let outcome = loop {
        let mut context = context(&answers);
        context.html = case["html"].as_bool().unwrap();
        context.missing_key_is_error = case["options"]
            .as_array()
            .is_some_and(|options| options.iter().any(|o| o == "missingkey=error"));
        let outcome = Template::parse(text, &[])
            .and_then(|template| template.execute(&from_json(&case["input"]), &[], &context));
        match outcome {
            Err(TemplateError::NeedsAnswer(query)) => {
                answers.insert(query, Ok(samples.clone()));
            }
            other => break other,
        }
    };
    match (case["output"].as_str(), outcome) {
        (Some(expected), Ok(got)) if expected == got => None,
        (None, Err(_)) => None,
        (expected, got) => Some(format!("{text}: expected {expected:?}, got {got:?}")),
    }
}

fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(flag) => Value::Bool(*flag),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(number.as_f64().unwrap()),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(from_json).collect()),
        serde_json::Value::Object(map) => Value::Map(
            map.iter()
                .map(|(key, value)| (key.clone(), from_json(value)))
                .collect(),
        ),
    }
}
