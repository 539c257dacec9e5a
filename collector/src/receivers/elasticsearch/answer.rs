//! The answer to a bulk request: what became of every item, in the request's order.

use std::collections::HashMap;
use std::time::Duration;

use model::Seq;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use store::IngestOutcome;
use wire::elasticsearch::Action;
use wire::{RejectReason, Rejected};

/// Which parts of an answer `filter_path` asks for.
pub(super) struct Shown {
    /// Patterns such as `items.*.error`; empty means everything.
    patterns: Vec<Vec<String>>,
}

impl Shown {
    /// Reads the parameter: patterns separated by commas. Exclusions (`-took`) show everything.
    pub(super) fn by(filter_path: Option<&str>) -> Self {
        let patterns: Vec<Vec<String>> = filter_path
            .unwrap_or_default()
            .split(',')
            .filter(|pattern| !pattern.is_empty())
            .map(|pattern| pattern.split('.').map(str::to_owned).collect())
            .collect();
        if patterns.iter().any(|pattern| pattern[0].starts_with('-')) {
            return Self {
                patterns: Vec::new(),
            };
        }
        Self { patterns }
    }

    fn shows(&self, path: &[&str]) -> bool {
        let matches = |pattern: &Vec<String>| {
            let mut segments = pattern.iter().zip(path);
            pattern.iter().any(|segment| segment == "**")
                || segments.all(|(segment, name)| segment == "*" || segment == name)
        };
        self.patterns.is_empty() || self.patterns.iter().any(matches)
    }

    fn field<T>(&self, action: &str, name: &str, value: T) -> Option<T> {
        self.shows(&["items", action, name]).then_some(value)
    }
}

/// What became of a bulk request.
pub(super) struct Answer<'a> {
    actions: &'a [Action<'a>],
    rejected: HashMap<u32, RejectReason>,
    position: u64,
    took: Duration,
}

impl<'a> Answer<'a> {
    pub(super) fn new(actions: &'a [Action<'a>], outcome: &IngestOutcome, took: Duration) -> Self {
        let rejected = outcome.refused.iter();
        Self {
            actions,
            rejected: rejected
                .map(|Rejected { ordinal, reason }| (*ordinal, *reason))
                .collect(),
            position: outcome.position,
            took,
        }
    }

    /// The answer as JSON.
    pub(super) fn print(&self, shown: &Shown) -> Vec<u8> {
        let items: Vec<Item<'_>> = (0_u32..)
            .zip(self.actions)
            .filter_map(|(ordinal, action)| self.item(ordinal, action, shown))
            .collect();
        let took = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        let body = Body {
            took: shown.shows(&["took"]).then_some(took),
            errors: shown
                .shows(&["errors"])
                .then_some(!self.rejected.is_empty()),
            items: shown.shows(&["items"]).then_some(items),
        };
        serde_json::to_vec(&body).expect("an answer has only text keys")
    }

    fn item(&self, ordinal: u32, action: &'a Action<'a>, shown: &Shown) -> Option<Item<'a>> {
        let kind = action.kind.as_str();
        let rejected = self.rejected.get(&ordinal).copied();
        let id = || match &action.id {
            Some(id) => id.to_string(),
            None => Seq::new(self.position, ordinal).as_i64().to_string(),
        };
        let error = rejected.map(|reason| Failure {
            kind: failure(reason),
            reason: reason.to_string(),
        });
        let result = match rejected {
            None => Some("created"),
            Some(_) => None,
        };
        let status = match rejected {
            None => 201,
            Some(_) => 400,
        };
        let fields = Fields {
            index: shown.field(kind, "_index", action.index.as_deref().unwrap_or_default()),
            id: shown.field(kind, "_id", ()).map(|()| id()),
            result: result.and_then(|result| shown.field(kind, "result", result)),
            status: shown.field(kind, "status", status),
            error: error.and_then(|error| shown.field(kind, "error", error)),
        };
        (!fields.is_empty()).then_some(Item { kind, fields })
    }
}

/// Elasticsearch's word for a rejection.
fn failure(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::UnsupportedAction => "illegal_argument_exception",
        _ => "document_parsing_exception",
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<Item<'a>>>,
}

struct Item<'a> {
    kind: &'static str,
    fields: Fields<'a>,
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.kind, &self.fields)?;
        map.end()
    }
}

#[derive(Serialize)]
struct Fields<'a> {
    #[serde(rename = "_index", skip_serializing_if = "Option::is_none")]
    index: Option<&'a str>,
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl Fields<'_> {
    fn is_empty(&self) -> bool {
        self.index.is_none()
            && self.id.is_none()
            && self.result.is_none()
            && self.status.is_none()
            && self.error.is_none()
    }
}

#[derive(Serialize)]
struct Failure {
    #[serde(rename = "type")]
    kind: &'static str,
    reason: String,
}

#[cfg(test)]
mod tests {
    use wire::elasticsearch::actions;

    use super::*;

    const BODY: &[u8] = b"\"i\"\n{\"create\":{\"_id\":\"7\"}}\n{}\n{\"delete\":{}}\n";

    fn printed(filter_path: Option<&str>) -> String {
        let actions = actions(BODY).unwrap();
        let outcome = IngestOutcome {
            accepted: 1,
            rejected: 1,
            refused: vec![Rejected {
                ordinal: 1,
                reason: RejectReason::UnsupportedAction,
            }],
            position: 1,
            ..IngestOutcome::default()
        };
        let answer = Answer::new(&actions, &outcome, Duration::from_millis(3));
        String::from_utf8(answer.print(&Shown::by(filter_path))).unwrap()
    }

    #[test]
    fn every_item_is_answered_in_its_place() {
        assert_eq!(
            printed(None),
            concat!(
                r#"{"errors":true,"took":3,"items":["#,
                r#"{"create":{"_index":"i","_id":"7","result":"created","status":201}},"#,
                r#"{"delete":{"_index":"i","_id":"1048577","status":400,"error":{"#,
                r#""type":"illegal_argument_exception","#,
                r#""reason":"only the actions index and create are supported: log records never change"}}}]}"#,
            )
        );
    }

    #[test]
    fn a_filter_leaves_what_it_names() {
        for (filter, expected) in [
            ("errors", r#"{"errors":true}"#),
            (
                "errors,items.*.status",
                r#"{"errors":true,"items":[{"create":{"status":201}},{"delete":{"status":400}}]}"#,
            ),
            (
                "items.*.error.type",
                r#"{"items":[{"delete":{"error":{"type":"illegal_argument_exception","reason":"only the actions index and create are supported: log records never change"}}}]}"#,
            ),
        ] {
            assert_eq!(printed(Some(filter)), expected, "{filter}");
        }
        assert_eq!(printed(Some("-took")), printed(None));
    }
}
