//! LogQL by the engine against LogQL by hand.
//!
//! Random queries of every stage over random records are answered twice: by the engine over a
//! table, with all that it pushes down, and by the evaluator of this file, which goes through the
//! records one by one and shares no code with the engine's pipeline.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::SessionContext;
use model::level::{level_name, severity_in_text};
use model::time::NANOS_PER_SECOND;
use model::{Attributes, LogRecord, Resource, Scope, Value};
use proptest::prelude::*;
use query::functions;
use query::logql::{Answer, Direction, Limits, LogSource, RangeRequest, query_range};
use query::plans::LogPlan;
use regex::Regex;

use crate::table;

/// Records in memory, read through a session that all tests share.
struct Records(Vec<LogRecord>);

impl LogSource for Records {
    async fn execute(&self, plan: LogPlan) -> Result<SendableRecordBatchStream, DataFusionError> {
        static SESSION: LazyLock<SessionContext> = LazyLock::new(|| {
            let session = SessionContext::new();
            for function in functions::all() {
                session.register_udf(function.as_ref().clone());
            }
            session
        });
        let batch = table::batch(&self.0, &plan.keys());
        let provider = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        let scan = LogicalPlanBuilder::scan("logs", provider_as_source(Arc::new(provider)), None)?;
        let frame = SESSION
            .execute_logical_plan(plan.build(scan.build()?)?)
            .await?;
        frame.execute_stream().await
    }
}

// ---------------------------------------------------------------------------------------------
// Records.

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

const LINES: [&str; 22] = [
    "",
    "plain words here",
    "GET /api/tasks 200 from 10.0.0.7",
    "GET /api/users 404 from 192.168.1.9",
    "POST /api/tasks 500 from 2001:db8::7",
    r#"{"level":"error","took":"250ms","status":500,"user":{"id":7,"name":"a b"}}"#,
    r#"{"level":"info","took":"1.5s","status":200,"size":"10KB","tags":["x","y"],"none":null}"#,
    r#"{"status":"many","took":12,"service_name":"inner","zone":"json"}"#,
    r#"{"addr":"10.1.2.3","size":2048,"ok":true,"a.b":"dotted"}"#,
    r#"{"level":"warn","took":"#,
    r#"["no","object"]"#,
    r#"{"_entry":"unpacked words","level":"packed","n":1}"#,
    r#"{"_entry":"GET /api/tasks 200 from 10.0.0.7"}"#,
    "level=error took=250ms status=500 msg=\"all \\\"good\\\"\"",
    "level=info took=1.5s size=10KB flag empty= zone=fmt",
    "status=many service_name=inner addr=10.1.2.3",
    "level=warn =broken took=5ms",
    "level=\"open",
    "\u{1b}[31mlevel=error\u{1b}[0m coloured words",
    "user 7 logged in",
    "user  logged in",
    "größe=5 words",
];

fn any_record() -> impl Strategy<Value = LogRecord> {
    let text = |options: &'static [&'static str]| {
        prop_oneof![
            2 => Just(None),
            3 => prop::sample::select(options).prop_map(Some),
        ]
    };
    (
        (
            0_i64..60,
            prop_oneof![1 => Just(0), 2 => 0_i32..24],
            prop::sample::select(&LINES[..]),
        ),
        text(&["api", "web", ""]),
        text(&["pod-1", "pod-2"]),
        text(&["east", "json", "12"]),
        text(&["error", "info", "500"]),
        text(&["250ms", "12", "10KB", "10.1.2.3", "x y"]),
        any::<bool>(),
    )
        .prop_map(
            |((second, severity, line), service, pod, zone, level, dotted, traced)| {
                let mut resource = Vec::new();
                resource.extend(service.map(|value| ("service.name", value)));
                resource.extend(pod.map(|value| ("k8s.pod.name", value)));
                resource.extend(zone.map(|value| ("zone", value)));
                let mut attributes = Vec::new();
                attributes.extend(level.map(|value| ("level", value)));
                attributes.extend(dotted.map(|value| ("k.v", value)));
                attributes.extend(
                    zone.filter(|zone| *zone == "12")
                        .map(|value| ("took", value)),
                );
                LogRecord {
                    timestamp: second * NANOS_PER_SECOND,
                    observed_timestamp: 0,
                    severity_number: severity,
                    severity_text: String::new(),
                    body: match line {
                        "" => Value::Empty,
                        line => Value::from(line),
                    },
                    attributes: Attributes::from_iter(attributes),
                    dropped_attributes_count: 0,
                    trace_id: traced.then(|| TRACE.parse().unwrap()),
                    span_id: None,
                    flags: 0,
                    event_name: String::new(),
                    resource: Arc::new(Resource {
                        attributes: Attributes::from_iter(resource),
                        ..Resource::default()
                    }),
                    scope: Arc::new(Scope::default()),
                }
            },
        )
}

// ---------------------------------------------------------------------------------------------
// Queries.

#[derive(Debug, Clone)]
enum Stage {
    Contains(bool, Vec<&'static str>),
    Matches(bool, Vec<&'static str>),
    Pattern(bool, Vec<&'static str>),
    LineIp(bool, &'static str),
    Label(Filter),
    Json,
    JsonFields(&'static [(&'static str, &'static [&'static str], &'static str)]),
    Logfmt { strict: bool, keep_empty: bool },
    LogfmtFields(&'static [(&'static str, &'static str)]),
    Regexp(&'static str),
    Captures(&'static str),
    Unpack,
    Decolorize,
    LineFormat(Template),
    Rename(&'static str, &'static str),
    LabelFormat(&'static str, Template),
    Drop(Vec<(&'static str, Option<&'static str>)>),
    Keep(Vec<(&'static str, Option<&'static str>)>),
}

#[derive(Debug, Clone)]
enum Filter {
    Text(&'static str, &'static str, &'static str),
    Number(&'static str, &'static str, f64),
    Duration(&'static str, &'static str, &'static str, f64),
    Bytes(&'static str, &'static str, &'static str, f64),
    Ip(&'static str, bool, &'static str),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

/// A template: its text, and the labels and texts that it joins; `None` stands for the line.
#[derive(Debug, Clone, Copy)]
struct Template {
    text: &'static str,
    parts: &'static [Part],
    upper: bool,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Text(&'static str),
    Label(&'static str),
    Line,
}

const TEMPLATES: [Template; 4] = [
    Template {
        text: "{{.level}}-{{ .zone }}",
        parts: &[Part::Label("level"), Part::Text("-"), Part::Label("zone")],
        upper: false,
    },
    Template {
        text: "{{ .service_name | ToUpper }}",
        parts: &[Part::Label("service_name")],
        upper: true,
    },
    Template {
        text: "line: {{ __line__ }}",
        parts: &[Part::Text("line: "), Part::Line],
        upper: false,
    },
    Template {
        text: "level={{ if .level }}{{ .level }}{{ end }} from 10.0.0.7",
        parts: &[
            Part::Text("level="),
            Part::Label("level"),
            Part::Text(" from 10.0.0.7"),
        ],
        upper: false,
    },
];

const NAMES: [&str; 15] = [
    "level",
    "zone",
    "took",
    "status",
    "size",
    "addr",
    "service_name",
    "k8s_pod_name",
    "k_v",
    "trace_id",
    "detected_level",
    "user_id",
    "service_name_extracted",
    "severity_number",
    "__error__",
];

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn some<T: Clone + std::fmt::Debug + 'static>(
    options: &'static [T],
) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(prop::sample::select(options), 1..3)
}

fn filter() -> impl Strategy<Value = Filter> {
    let compare = || prop::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]);
    let text = prop::sample::select(
        &[
            "",
            "error",
            "info",
            "api",
            "web",
            "east",
            "12",
            ".+",
            ".*",
            "er.*",
            "api|web",
            "JSONParserErr",
        ][..],
    );
    let leaf = prop_oneof![
        4 => (name(), prop::sample::select(&["=", "!=", "=~", "!~"][..]), text)
            .prop_map(|(name, op, value)| Filter::Text(name, op, value)),
        2 => (name(), compare(), prop::sample::select(&[0.0, 9.0, 12.0, 500.0][..]))
            .prop_map(|(name, op, bound)| Filter::Number(name, op, bound)),
        2 => (name(), compare(), prop::sample::select(&[("250ms", 0.25), ("1s", 1.0)][..]))
            .prop_map(|(name, op, (text, seconds))| Filter::Duration(name, op, text, seconds)),
        1 => (name(), compare(), prop::sample::select(&[("2KB", 2e3), ("10KiB", 10_240.0)][..]))
            .prop_map(|(name, op, (text, bytes))| Filter::Bytes(name, op, text, bytes)),
        1 => (name(), any::<bool>(), prop::sample::select(&["10.0.0.0/8", "192.168.1.9"][..]))
            .prop_map(|(name, negated, network)| Filter::Ip(name, negated, network)),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        (inner.clone(), any::<bool>(), inner).prop_map(|(left, and, right)| {
            let (left, right) = (Box::new(left), Box::new(right));
            match and {
                true => Filter::And(left, right),
                false => Filter::Or(left, right),
            }
        })
    })
}

fn stage() -> impl Strategy<Value = Stage> {
    let choices = || {
        let value = prop_oneof![Just(None), Just(Some("error")), Just(Some("api"))];
        prop::collection::vec((name(), value), 1..4)
    };
    let template = || prop::sample::select(&TEMPLATES[..]);
    prop_oneof![
        3 => (any::<bool>(), some(&["", "level", "words", "api", "500", "x\"y"]))
            .prop_map(|(negated, texts)| Stage::Contains(negated, texts)),
        2 => (any::<bool>(), some(&["^$", "(?i)GET", "level=\\w+", "\\d{3}", "words$"]))
            .prop_map(|(negated, texts)| Stage::Matches(negated, texts)),
        2 => (any::<bool>(), some(&["user <_> logged in", "<_> from <_>", "GET <_>", "<_> words"]))
            .prop_map(|(negated, texts)| Stage::Pattern(negated, texts)),
        1 => (any::<bool>(), prop::sample::select(&["10.0.0.0/8", "10.0.0.7", "2001:db8::/32"][..]))
            .prop_map(|(negated, network)| Stage::LineIp(negated, network)),
        5 => filter().prop_map(Stage::Label),
        2 => Just(Stage::Json),
        1 => Just(Stage::JsonFields(&[
            ("level", &["level"], "level"),
            ("uid", &["user", "id"], "user.id"),
            ("dot", &["a.b"], "[\"a.b\"]"),
            ("service_name", &["service_name"], "service_name"),
        ])),
        2 => (any::<bool>(), any::<bool>())
            .prop_map(|(strict, keep_empty)| Stage::Logfmt { strict, keep_empty }),
        1 => Just(Stage::LogfmtFields(&[("zone", "zone"), ("lvl", "level")])),
        1 => prop::sample::select(&[
            "(?P<method>GET|POST) (?P<path>\\S+) (?P<status>\\d+)",
            "^(?P<level>\\w+)=(?P<rest>.*)$",
        ][..]).prop_map(Stage::Regexp),
        1 => prop::sample::select(&["<method> <path> <status> from <addr>", "level=<level> <_>", "<a> words"][..])
            .prop_map(Stage::Captures),
        1 => Just(Stage::Unpack),
        1 => Just(Stage::Decolorize),
        1 => template().prop_map(Stage::LineFormat),
        1 => (name(), name())
            .prop_filter("__error__ cannot be formatted", |(to, _)| *to != "__error__")
            .prop_map(|(to, from)| Stage::Rename(to, from)),
        1 => (name(), template())
            .prop_filter("__error__ cannot be formatted", |(to, _)| *to != "__error__")
            .prop_map(|(to, template)| Stage::LabelFormat(to, template)),
        2 => choices().prop_map(Stage::Drop),
        1 => choices().prop_map(Stage::Keep),
    ]
}

#[derive(Debug, Clone)]
struct Query {
    selector: Option<(&'static str, &'static str, &'static str)>,
    stages: Vec<Stage>,
}

fn query() -> impl Strategy<Value = Query> {
    let selector = (
        prop::sample::select(&["service_name", "k8s_pod_name", "zone"][..]),
        prop::sample::select(&["=", "!=", "=~", "!~"][..]),
        prop::sample::select(&["api", "", "api|web", ".+", "p.*1"][..]),
    );
    (
        prop::option::weighted(0.3, selector),
        prop::collection::vec(stage(), 0..5),
    )
        .prop_map(|(selector, stages)| Query { selector, stages })
}

impl Query {
    fn text(&self) -> String {
        let mut text = match self.selector {
            Some((name, op, value)) => format!("{{{name}{op}`{value}`}}"),
            None => "{}".to_owned(),
        };
        let mut ends_with_label = false;
        for stage in &self.stages {
            let stage_text = stage.text();
            if ends_with_label && stage_text.starts_with('!') {
                // A label and `!=` would be read as one choice: a filter that always holds parts
                // them.
                text.push_str(" | never=\"\"");
            }
            text.push(' ');
            text.push_str(&stage_text);
            ends_with_label = matches!(stage, Stage::Drop(_) | Stage::Keep(_));
        }
        text
    }
}

fn alternatives(op: &str, texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("`{text}`")).collect();
    format!("{op} {}", texts.join(" or "))
}

fn choices_text(word: &str, choices: &[(&str, Option<&str>)]) -> String {
    let choices: Vec<String> = choices
        .iter()
        .map(|(name, value)| match value {
            Some(value) => format!("{name}=\"{value}\""),
            None => (*name).to_owned(),
        })
        .collect();
    format!("| {word} {}", choices.join(", "))
}

impl Stage {
    fn text(&self) -> String {
        let pick =
            |negated: bool, no: &'static str, yes: &'static str| if negated { no } else { yes };
        match self {
            Self::Contains(negated, texts) => alternatives(pick(*negated, "!=", "|="), texts),
            Self::Matches(negated, texts) => alternatives(pick(*negated, "!~", "|~"), texts),
            Self::Pattern(negated, texts) => alternatives(pick(*negated, "!>", "|>"), texts),
            Self::LineIp(negated, network) => {
                format!("{} ip(\"{network}\")", pick(*negated, "!=", "|="))
            }
            Self::Label(filter) => format!("| {}", filter.text()),
            Self::Json => "| json".to_owned(),
            Self::JsonFields(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(label, _, path)| format!("{label}=`{path}`"))
                    .collect();
                format!("| json {}", fields.join(", "))
            }
            Self::Logfmt { strict, keep_empty } => {
                let strict = if *strict { " --strict" } else { "" };
                let keep_empty = if *keep_empty { " --keep-empty" } else { "" };
                format!("| logfmt{strict}{keep_empty}")
            }
            Self::LogfmtFields(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(label, key)| format!("{label}=\"{key}\""))
                    .collect();
                format!("| logfmt {}", fields.join(", "))
            }
            Self::Regexp(pattern) => format!("| regexp `{pattern}`"),
            Self::Captures(pattern) => format!("| pattern `{pattern}`"),
            Self::Unpack => "| unpack".to_owned(),
            Self::Decolorize => "| decolorize".to_owned(),
            Self::LineFormat(template) => format!("| line_format `{}`", template.text),
            Self::Rename(to, from) => format!("| label_format {to}={from}"),
            Self::LabelFormat(to, template) => format!("| label_format {to}=`{}`", template.text),
            Self::Drop(choices) => choices_text("drop", choices),
            Self::Keep(choices) => choices_text("keep", choices),
        }
    }
}

impl Filter {
    fn text(&self) -> String {
        match self {
            Self::Text(name, op, value) => format!("{name}{op}`{value}`"),
            Self::Number(name, op, bound) => format!("{name} {op} {bound}"),
            Self::Duration(name, op, bound, _) | Self::Bytes(name, op, bound, _) => {
                format!("{name} {op} {bound}")
            }
            Self::Ip(name, negated, network) => {
                format!(
                    "{name}{}ip(\"{network}\")",
                    if *negated { "!=" } else { "=" }
                )
            }
            Self::And(left, right) => format!("({} and {})", left.text(), right.text()),
            Self::Or(left, right) => format!("({} or {})", left.text(), right.text()),
        }
    }
}

// ---------------------------------------------------------------------------------------------
// The evaluator by hand.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Stream,
    Structured,
    Parsed,
}

type LabelMap = BTreeMap<String, (Origin, String)>;

struct Line {
    timestamp: i64,
    text: String,
    labels: LabelMap,
}

fn sanitized(key: &str) -> String {
    let valid = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = key.chars().map(valid).collect();
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

fn lines(records: &[LogRecord]) -> impl Iterator<Item = Line> {
    records.iter().map(|record| {
        let mut labels = LabelMap::new();
        let mut add = |name: &str, origin: Origin, value: &str| {
            if !value.is_empty() {
                labels
                    .entry(name.to_owned())
                    .or_insert_with(|| (origin, value.to_owned()));
            }
        };
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            _ => String::new(),
        };
        let service = record.resource.attributes.get("service.name").map(text);
        let service = service.filter(|service| !service.is_empty());
        add(
            "service_name",
            Origin::Stream,
            service.as_deref().unwrap_or("unknown_service"),
        );
        // A resource attribute whose key is a label's name is a stream label as it stands.
        for (key, label) in [("k8s.pod.name", "k8s_pod_name"), ("zone", "zone")] {
            if let Some(value) = record.resource.attributes.get(key) {
                add(label, Origin::Stream, &text(value));
            }
        }
        let body = text(&record.body);
        let level = match record.severity_number {
            0 => severity_in_text(&body).unwrap_or(0),
            set => set,
        };
        add("detected_level", Origin::Structured, level_name(level));
        if record.severity_number != 0 {
            let number = record.severity_number.to_string();
            add("severity_number", Origin::Structured, &number);
        }
        if let Some(trace) = record.trace_id {
            add("trace_id", Origin::Structured, &trace.to_string());
        }
        for (key, value) in record.attributes.iter() {
            add(&sanitized(key), Origin::Structured, &text(value));
        }
        Line {
            timestamp: record.timestamp,
            text: body,
            labels,
        }
    })
}

fn text_matches(op: &str, value: &str, text: &str) -> bool {
    match op {
        "=" => text == value,
        "!=" => text != value,
        "=~" => Regex::new(&format!("^(?s:{value})$"))
            .unwrap()
            .is_match(text),
        _ => !Regex::new(&format!("^(?s:{value})$"))
            .unwrap()
            .is_match(text),
    }
}

fn holds(op: &str, left: f64, right: f64) -> bool {
    match op {
        "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        _ => left >= right,
    }
}

/// A number with one of these units after it.
fn measured(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    units.iter().find_map(|(unit, scale)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(number * scale)
    })
}

fn has_address(text: &str, network: &str) -> bool {
    let v6 = network.contains(':');
    let of_address = |c: char| {
        c.is_ascii_hexdigit() && (v6 || c.is_ascii_digit()) || c == '.' || (v6 && c == ':')
    };
    let words = text.split(|c: char| !of_address(c));
    words.into_iter().any(|word| match network {
        "10.0.0.0/8" => word.starts_with("10.") && word.matches('.').count() == 3,
        "2001:db8::/32" => word.starts_with("2001:db8:"),
        exact => word == exact,
    })
}

fn set_error(labels: &mut LabelMap, error: &str) {
    labels.insert("__error__".to_owned(), (Origin::Parsed, error.to_owned()));
}

impl Filter {
    fn passes(&self, labels: &mut LabelMap) -> bool {
        let get = |labels: &LabelMap, name: &str| labels.get(name).map(|(_, value)| value.clone());
        let compare = |labels: &mut LabelMap,
                       name: &str,
                       op: &str,
                       bound: f64,
                       read: &dyn Fn(&str) -> Option<f64>| {
            let Some(text) = get(labels, name) else {
                return false;
            };
            match read(&text) {
                Some(value) => holds(op, value, bound),
                None => {
                    if get(labels, "__error__").is_none() {
                        set_error(labels, "LabelFilterErr");
                    }
                    true
                }
            }
        };
        let number = |text: &str| text.parse().ok();
        match self {
            Self::Text(name, op, value) => {
                text_matches(op, value, &get(labels, name).unwrap_or_default())
            }
            Self::Number(name, op, bound) => compare(labels, name, op, *bound, &number),
            Self::Duration(name, op, _, bound) => compare(labels, name, op, *bound, &|text| {
                measured(text, &[("ms", 0.001), ("s", 1.0)])
            }),
            Self::Bytes(name, op, _, bound) => compare(labels, name, op, *bound, &|text| {
                measured(text, &[("KB", 1e3)]).or_else(|| number(text))
            }),
            Self::Ip(name, negated, network) => {
                get(labels, name).is_some_and(|text| has_address(&text, network) != *negated)
            }
            Self::And(left, right) => {
                let left = left.passes(labels);
                right.passes(labels) && left
            }
            Self::Or(left, right) => left.passes(labels) || right.passes(labels),
        }
    }
}

fn add_field(labels: &mut LabelMap, name: &str, value: &str, even_empty: bool) {
    let mut name = name.to_owned();
    if labels
        .get(&name)
        .is_some_and(|(origin, _)| *origin == Origin::Stream)
    {
        name.push_str("_extracted");
    }
    let parsed_before = labels
        .get(&name)
        .is_some_and(|(origin, _)| *origin == Origin::Parsed);
    if (even_empty || !value.is_empty()) && !parsed_before {
        labels.insert(name, (Origin::Parsed, value.to_owned()));
    }
}

fn flatten(prefix: &str, value: &serde_json::Value, labels: &mut LabelMap) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                let name = match prefix {
                    "" => sanitized(key),
                    prefix => format!("{prefix}_{}", sanitized(key)),
                };
                flatten(&name, value, labels);
            }
        }
        serde_json::Value::Array(_) | serde_json::Value::Null => {}
        serde_json::Value::String(text) => add_field(labels, prefix, text, false),
        other => add_field(labels, prefix, &other.to_string(), false),
    }
}

/// The pairs of a line, and whether all of it was logfmt.
fn logfmt_pairs(line: &str) -> (Vec<(String, String)>, bool) {
    let pair = Regex::new(r#"^([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)))?(?:\s|$)"#).unwrap();
    let mut pairs = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let Some(found) = pair.captures(rest) else {
            return (pairs, false);
        };
        let quoted = found.get(2).map(|text| text.as_str().replace("\\\"", "\""));
        let plain = found.get(3).map(|text| text.as_str().to_owned());
        pairs.push((found[1].to_owned(), quoted.or(plain).unwrap_or_default()));
        rest = rest[found[0].len()..].trim_start();
    }
    (pairs, true)
}

/// The pairs of a line when mistakes are skipped. The lines of this test have at most one.
fn lenient_pairs(line: &str) -> Vec<(String, String)> {
    let (mut pairs, whole) = logfmt_pairs(line);
    if !whole {
        match line.split_once(" =broken ") {
            Some((_, after)) => pairs.extend(lenient_pairs(after)),
            // JSON and open quotes: what can be read word by word.
            None => {
                pairs.clear();
                let mut rest = line;
                let pair =
                    Regex::new(r#"^([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)))?"#).unwrap();
                while !rest.is_empty() {
                    let found = pair.captures(rest);
                    let after_word = |rest: &str| {
                        rest.find(char::is_whitespace)
                            .map_or(String::new(), |end| rest[end..].to_owned())
                    };
                    let next = match &found {
                        Some(found) => {
                            let after = &rest[found[0].len()..];
                            let quoted = found.get(2).is_some();
                            if quoted || after.is_empty() || after.starts_with(char::is_whitespace)
                            {
                                let value =
                                    found.get(2).or(found.get(3)).map_or("", |v| v.as_str());
                                pairs.push((found[1].to_owned(), value.replace("\\\"", "\"")));
                                after.to_owned()
                            } else if after.starts_with('"') && found[0].ends_with('=') {
                                // A quote that does not close takes the rest.
                                String::new()
                            } else {
                                after_word(after)
                            }
                        }
                        None => after_word(rest),
                    };
                    rest = Box::leak(next.trim_start().to_owned().into_boxed_str());
                }
            }
        }
    }
    pairs
}

impl Template {
    fn fill(&self, line: &str, labels: &LabelMap) -> String {
        let text: String = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => *text,
                Part::Label(name) => labels.get(*name).map_or("", |(_, value)| value.as_str()),
                Part::Line => line,
            })
            .collect();
        match self.upper {
            true => text.to_uppercase(),
            false => text,
        }
    }
}

fn chosen(choices: &[(&str, Option<&str>)], name: &str, value: &str) -> bool {
    choices
        .iter()
        .any(|(choice, wanted)| *choice == name && wanted.is_none_or(|wanted| wanted == value))
}

/// `| json label="path"`: each field with its label, its keys and its path.
fn read_json_fields(line: &mut Line, fields: &[(&str, &[&str], &str)]) {
    let whole: Option<serde_json::Value> = serde_json::from_str(&line.text).ok();
    let broken = line.text.starts_with("{\"level\":\"warn\"");
    for (label, keys, _) in fields {
        let found = whole
            .as_ref()
            .and_then(|whole| keys.iter().try_fold(whole, |value, key| value.get(key)));
        match found {
            Some(serde_json::Value::String(text)) => {
                add_field(&mut line.labels, label, text, false);
            }
            Some(serde_json::Value::Null) => {}
            Some(other) => {
                add_field(&mut line.labels, label, &other.to_string(), false);
            }
            None if broken && *label == "level" => {
                add_field(&mut line.labels, "level", "warn", false);
            }
            None if broken => set_error(&mut line.labels, "JSONParserErr"),
            None if !line.text.is_empty() && !line.text.starts_with(['{', '[', '"']) => {
                set_error(&mut line.labels, "JSONParserErr");
            }
            None => {}
        }
    }
}

/// `| pattern`: a capture ends at the literal that follows it.
fn read_captures(line: &mut Line, pattern: &str) {
    let text = line.text.clone();
    let capture = Regex::new("<([a-z_]+)>").unwrap();
    let literals: Vec<&str> = capture.split(pattern).collect();
    let Some(mut rest) = text.strip_prefix(literals[0]) else {
        return;
    };
    if text.is_empty() {
        return;
    }
    for (index, found) in capture.captures_iter(pattern).enumerate() {
        let literal = literals[index + 1];
        let split = match literal {
            "" => None,
            literal => rest.split_once(literal),
        };
        let (value, after) = split.map_or((rest, None), |(v, after)| (v, Some(after)));
        if &found[1] != "_" {
            add_field(&mut line.labels, &found[1], value, false);
        }
        match after {
            Some(after) => rest = after,
            None => break,
        }
    }
}

/// `| unpack`: the line that a client packed, and its labels.
fn unpack(line: &mut Line) {
    match serde_json::from_str(&line.text) {
        Ok(serde_json::Value::Object(fields)) => {
            if let Some(serde_json::Value::String(entry)) = fields.get("_entry") {
                for (key, value) in &fields {
                    if let serde_json::Value::String(value) = value
                        && key != "_entry"
                    {
                        add_field(&mut line.labels, &sanitized(key), value, false);
                    }
                }
                line.text = entry.clone();
            }
        }
        _ if line.text.is_empty() => {}
        _ => set_error(&mut line.labels, "JSONParserErr"),
    }
}

impl Stage {
    /// Whether the line goes on.
    fn apply(&self, line: &mut Line) -> bool {
        match self {
            Self::Contains(negated, texts) => {
                return texts.iter().any(|text| line.text.contains(text)) != *negated;
            }
            Self::Matches(negated, patterns) => {
                let matches = |pattern: &&str| Regex::new(pattern).unwrap().is_match(&line.text);
                return patterns.iter().any(matches) != *negated;
            }
            Self::Pattern(negated, patterns) => {
                let matches = |pattern: &&str| {
                    // Captures hold something, and end at the first literal that follows.
                    let parts: Vec<String> = pattern.split("<_>").map(regex::escape).collect();
                    let whole = format!("^{}$", parts.join("(?s:.+?)"));
                    Regex::new(&whole).unwrap().is_match(&line.text)
                };
                return patterns.iter().any(matches) != *negated;
            }
            Self::LineIp(negated, network) => {
                return has_address(&line.text, network) != *negated;
            }
            Self::Label(filter) => return filter.passes(&mut line.labels),
            Self::Json => match serde_json::from_str(&line.text) {
                Ok(value @ serde_json::Value::Object(_)) => flatten("", &value, &mut line.labels),
                _ => {
                    // What stands before the break of the one line that breaks off.
                    if line.text.starts_with("{\"level\":\"warn\"") {
                        add_field(&mut line.labels, "level", "warn", false);
                    }
                    set_error(&mut line.labels, "JSONParserErr");
                }
            },
            Self::JsonFields(fields) => read_json_fields(line, fields),
            Self::Logfmt { strict, keep_empty } => {
                let (pairs, whole) = match strict {
                    true => logfmt_pairs(&line.text),
                    false => (lenient_pairs(&line.text), true),
                };
                for (key, value) in pairs {
                    if *keep_empty || !value.is_empty() {
                        add_field(&mut line.labels, &sanitized(&key), &value, *keep_empty);
                    }
                }
                if !whole {
                    set_error(&mut line.labels, "LogfmtParserErr");
                }
            }
            Self::LogfmtFields(fields) => {
                for (key, value) in lenient_pairs(&line.text) {
                    for (label, wanted) in *fields {
                        if *wanted == key {
                            add_field(&mut line.labels, label, &value, false);
                        }
                    }
                }
            }
            Self::Regexp(pattern) => {
                let regex = Regex::new(pattern).unwrap();
                if let Some(found) = regex.captures(&line.text) {
                    for name in regex.capture_names().flatten() {
                        let value = found.name(name).map_or("", |value| value.as_str());
                        add_field(&mut line.labels, name, value, false);
                    }
                }
            }
            Self::Captures(pattern) => read_captures(line, pattern),
            Self::Unpack => unpack(line),
            Self::Decolorize => {
                line.text = line.text.replace("\u{1b}[31m", "").replace("\u{1b}[0m", "");
            }
            Self::LineFormat(template) => line.text = template.fill(&line.text, &line.labels),
            Self::Rename(to, from) => {
                if let Some(label) = line.labels.remove(*from) {
                    line.labels.insert((*to).to_owned(), label);
                }
            }
            Self::LabelFormat(to, template) => {
                let value = template.fill(&line.text, &line.labels);
                line.labels
                    .insert((*to).to_owned(), (Origin::Parsed, value));
            }
            Self::Drop(choices) => {
                line.labels
                    .retain(|name, (_, value)| !chosen(choices, name, value));
            }
            Self::Keep(choices) => line
                .labels
                .retain(|name, (_, value)| name == "__error__" || chosen(choices, name, value)),
        }
        true
    }
}

impl Query {
    /// The lines that pass, in the records' order.
    fn answer(&self, records: &[LogRecord]) -> Vec<Line> {
        let selected = |line: &Line| {
            self.selector.is_none_or(|(name, op, value)| {
                let text = match line.labels.get(name) {
                    Some((Origin::Stream, text)) => text.as_str(),
                    _ => "",
                };
                text_matches(op, value, text)
            })
        };
        let mut passed = Vec::new();
        for mut line in lines(records).filter(selected) {
            if self.stages.iter().all(|stage| stage.apply(&mut line)) {
                passed.push(line);
            }
        }
        passed
    }
}

// ---------------------------------------------------------------------------------------------
// The comparison.

fn seconds(start: i64, end: i64, step: i64) -> RangeRequest {
    RangeRequest {
        start: start * NANOS_PER_SECOND,
        end: end * NANOS_PER_SECOND,
        step: step * NANOS_PER_SECOND,
        limit: 1_000,
        direction: Direction::Forward,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

/// A line as both sides show it: time, text, labels with their origin.
type Shown = (i64, String, Vec<(Origin, String, String)>);

fn shown_by_hand(line: Line) -> Shown {
    let labels = line
        .labels
        .into_iter()
        .map(|(name, (origin, value))| (origin, name, value));
    let mut labels: Vec<_> = labels
        .filter(|(origin, _, value)| *origin == Origin::Parsed || !value.is_empty())
        .collect();
    labels.sort();
    (line.timestamp, line.text, labels)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn log_queries_are_answered_as_by_hand(
        records in prop::collection::vec(any_record(), 0..20),
        queries in prop::collection::vec(query(), 60),
    ) {
        let runtime = runtime();
        let source = Records(records);
        for query in queries {
            let text = query.text();
            let request = seconds(0, 100, 1);
            let outcome = runtime
                .block_on(query_range(&source, &text, request, Limits::default()))
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            let Answer::Lines(lines) = outcome.answer else {
                panic!("{text} gave no lines");
            };
            let mut engine: Vec<Shown> = lines
                .into_iter()
                .map(|line| {
                    let stream = line.stream.iter().map(|(n, v)| (Origin::Stream, n.to_owned(), v.to_owned()));
                    let structured = line.structured_metadata.into_iter().map(|(n, v)| (Origin::Structured, n, v));
                    let parsed = line.parsed.into_iter().map(|(n, v)| (Origin::Parsed, n, v));
                    let mut labels: Vec<_> = stream.chain(structured).chain(parsed).collect();
                    labels.retain(|(_, name, _)| name != "__error_details__");
                    labels.sort();
                    (line.timestamp, line.line, labels)
                })
                .collect();
            let mut by_hand: Vec<Shown> =
                query.answer(&source.0).into_iter().map(shown_by_hand).collect();
            // Lines of one time come in any order.
            engine.sort();
            by_hand.sort();
            prop_assert_eq!(engine, by_hand, "{}", text);
        }
    }
}

#[derive(Debug, Clone)]
struct MetricQuery {
    lines: Query,
    op: &'static str,
    unwrap: Option<&'static str>,
    /// Whether `without`, and the labels.
    grouping: Option<(bool, Vec<&'static str>)>,
    aggregate: Option<(&'static str, bool, Vec<&'static str>)>,
    range: i64,
    offset: i64,
}

fn metric_query() -> impl Strategy<Value = MetricQuery> {
    let labels = || {
        prop::collection::vec(
            prop::sample::select(
                &[
                    "service_name",
                    "detected_level",
                    "zone",
                    "level",
                    "k_v",
                    "user_id",
                ][..],
            ),
            0..3,
        )
    };
    let counting =
        prop::sample::select(&["count_over_time", "rate", "bytes_over_time", "bytes_rate"][..]);
    let unwrapping = prop::sample::select(
        &[
            "sum_over_time",
            "avg_over_time",
            "min_over_time",
            "max_over_time",
            "stdvar_over_time",
            "stddev_over_time",
            "quantile_over_time",
            "rate",
        ][..],
    );
    let op = prop_oneof![
        counting.prop_map(|op| (op, None, None)),
        (
            unwrapping,
            prop::sample::select(&["status", "took", "severity_number"][..]),
            prop::option::of((any::<bool>(), labels())),
        )
            .prop_map(|(op, label, grouping)| (op, Some(label), grouping)),
    ];
    let aggregate = (
        prop::sample::select(&["sum", "avg", "min", "max", "count", "stddev"][..]),
        any::<bool>(),
        labels(),
    );
    (
        query(),
        op,
        prop::option::weighted(0.8, aggregate),
        1_i64..30,
        -10_i64..10,
    )
        .prop_map(
            |(lines, (op, unwrap, grouping), aggregate, range, offset)| MetricQuery {
                lines,
                op,
                unwrap,
                grouping,
                aggregate,
                range,
                offset,
            },
        )
}

fn grouping_text(without: bool, labels: &[&str]) -> String {
    let word = if without { "without" } else { "by" };
    format!("{word} ({})", labels.join(", "))
}

/// Label sets with their values at each step.
type Matrix = BTreeMap<BTreeMap<String, String>, Vec<Option<f64>>>;

fn kept(
    labels: &BTreeMap<String, String>,
    without: bool,
    names: &[&str],
) -> BTreeMap<String, String> {
    let mut labels = labels.clone();
    labels.retain(|name, _| names.contains(&name.as_str()) != without);
    labels
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / values.len() as f64
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn smallest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

impl MetricQuery {
    fn text(&self) -> String {
        // Lines with errors make a metric query fail.
        let mut text = format!("{} | drop __error__, __error_details__", self.lines.text());
        if let Some(label) = self.unwrap {
            text = format!("{text} | unwrap {label} | __error__=\"\"");
        }
        let offset = match self.offset {
            0 => String::new(),
            offset => format!(" offset {offset}s"),
        };
        let parameter = if self.op == "quantile_over_time" {
            "0.5, "
        } else {
            ""
        };
        let mut text = format!("{}({parameter}{text} [{}s]{offset})", self.op, self.range);
        if let Some((without, labels)) = &self.grouping {
            text = format!("{text} {}", grouping_text(*without, labels));
        }
        if let Some((op, without, labels)) = &self.aggregate {
            text = format!("{op} {} ({text})", grouping_text(*without, labels));
        }
        text
    }

    fn answer(&self, records: &[LogRecord], steps: &[i64]) -> Matrix {
        let mut samples: Vec<(i64, BTreeMap<String, String>, f64, f64)> = Vec::new();
        for mut line in self.lines.answer(records) {
            line.labels.remove("__error__");
            let size = line.text.len() as f64;
            let mut value = 0.0;
            if let Some(label) = self.unwrap {
                match line.labels.get(label).filter(|(_, text)| !text.is_empty()) {
                    None => continue,
                    Some((_, text)) => match text.parse() {
                        Ok(number) => value = number,
                        Err(_) => continue,
                    },
                }
            }
            let mut labels: BTreeMap<String, String> = line
                .labels
                .into_iter()
                .map(|(name, (_, value))| (name, value))
                .filter(|(_, value)| !value.is_empty())
                .collect();
            let grouped_by = matches!(self.grouping, Some((false, _)));
            if let (Some(label), false) = (self.unwrap, grouped_by) {
                labels.remove(label);
            }
            if let Some((without, names)) = &self.grouping {
                labels = kept(&labels, *without, names);
            }
            samples.push((line.timestamp, labels, size, value));
        }
        let mut matrix = Matrix::new();
        for (index, step) in steps.iter().enumerate() {
            let end = (step - self.offset) * NANOS_PER_SECOND;
            let start = end - self.range * NANOS_PER_SECOND;
            let mut windows: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
            for (time, labels, size, value) in &samples {
                if start < *time && *time <= end {
                    windows.entry(labels).or_default().push((*size, *value));
                }
            }
            let range = self.range as f64;
            for (labels, window) in windows {
                let sizes: f64 = window.iter().map(|(size, _)| size).sum();
                let mut values: Vec<f64> = window.iter().map(|(_, value)| *value).collect();
                values.sort_by(f64::total_cmp);
                let count = values.len();
                let value = match self.op {
                    "count_over_time" => count as f64,
                    "rate" if self.unwrap.is_none() => count as f64 / range,
                    "rate" => values.iter().sum::<f64>() / range,
                    "bytes_over_time" => sizes,
                    "bytes_rate" => sizes / range,
                    "sum_over_time" => values.iter().sum(),
                    "avg_over_time" => mean(&values),
                    "min_over_time" => values[0],
                    "max_over_time" => values[count - 1],
                    "stdvar_over_time" => variance(&values),
                    "stddev_over_time" => variance(&values).sqrt(),
                    _ => (values[(count - 1) / 2] + values[count / 2]) / 2.0,
                };
                let points = matrix
                    .entry(labels.clone())
                    .or_insert_with(|| vec![None; steps.len()]);
                points[index] = Some(value);
            }
        }
        let Some((op, without, names)) = &self.aggregate else {
            return matrix;
        };
        let mut groups: BTreeMap<_, Vec<Vec<Option<f64>>>> = BTreeMap::new();
        for (labels, points) in matrix {
            groups
                .entry(kept(&labels, *without, names))
                .or_default()
                .push(points);
        }
        groups
            .into_iter()
            .map(|(labels, members)| {
                let points = (0..steps.len())
                    .map(|step| {
                        let values: Vec<f64> =
                            members.iter().filter_map(|points| points[step]).collect();
                        (!values.is_empty()).then(|| match *op {
                            "sum" => values.iter().sum(),
                            "avg" => mean(&values),
                            "min" => smallest(&values),
                            "max" => largest(&values),
                            "count" => values.len() as f64,
                            _ => variance(&values).sqrt(),
                        })
                    })
                    .collect();
                (labels, points)
            })
            .collect()
    }
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * (1.0 + a.abs().max(b.abs())),
        (a, b) => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn metric_queries_are_answered_as_by_hand(
        records in prop::collection::vec(any_record(), 0..20),
        queries in prop::collection::vec(metric_query(), 20),
        step in 1_i64..25,
    ) {
        let runtime = runtime();
        let source = Records(records);
        let steps: Vec<i64> = (0..=60 / step).map(|index| index * step).collect();
        for query in queries {
            let text = query.text();
            let outcome = runtime
                .block_on(query_range(&source, &text, seconds(0, 60, step), Limits::default()))
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            let Answer::Matrix(series) = outcome.answer else {
                panic!("{text} gave no matrix");
            };
            let engine: Matrix = series
                .into_iter()
                .map(|one| {
                    let labels = one.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned()));
                    let mut points = vec![None; steps.len()];
                    for (time, value) in one.samples {
                        let index = time / NANOS_PER_SECOND / step;
                        points[usize::try_from(index).unwrap()] = Some(value);
                    }
                    (labels.collect(), points)
                })
                .collect();
            let by_hand = query.answer(&source.0, &steps);
            let labels = |matrix: &Matrix| matrix.keys().cloned().collect::<Vec<_>>();
            prop_assert_eq!(labels(&engine), labels(&by_hand), "{}", text);
            for (labels, points) in &engine {
                let expected = &by_hand[labels];
                prop_assert!(
                    points.iter().zip(expected).all(|(a, b)| close(*a, *b)),
                    "{}: {:?} gives {:?}, by hand {:?}", text, labels, points, expected
                );
            }
        }
    }
}
