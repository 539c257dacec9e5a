//! Elasticsearch's `_bulk`: documents as log records.
//!
//! The ingest log keeps the request behind one line of ours, the index of its path as a JSON
//! string (empty when the path names none), since the body alone does not say it. Every action is
//! an item, so an item's ordinal is its place in the answer.

mod document;

use std::borrow::Cow;

use model::LogRecord;
use serde::Deserialize;

use crate::admission::RejectReason;
use crate::json_value::{self, Budget};
use crate::otlp::{self, DecodeError, Decoded};

/// What an action asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionKind {
    /// Store a document, replacing one of the same id.
    Index,
    /// Store a new document.
    Create,
    /// Change a document.
    Update,
    /// Remove a document.
    Delete,
}

impl ActionKind {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One action of a bulk request, without its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action<'a> {
    /// What it asks for.
    pub kind: ActionKind,
    /// The index it names, else that of the path; `None` when neither does.
    pub index: Option<Cow<'a, str>>,
    /// The document's id, when the sender chose one.
    pub id: Option<Cow<'a, str>>,
}

/// The body as the ingest log keeps it: the path's index, then the request.
pub fn with_index(index: Option<&str>, request: &[u8]) -> Vec<u8> {
    let line = index.map(|index| serde_json::Value::from(index).to_string());
    let line = line.unwrap_or_default();
    let mut body = Vec::with_capacity(line.len() + 1 + request.len());
    body.extend_from_slice(line.as_bytes());
    body.push(b'\n');
    body.extend_from_slice(request);
    body
}

/// The actions of a body that [`with_index`] made, in their order.
///
/// # Errors
///
/// A line that should be an action and is none, or too many actions.
pub fn actions(body: &[u8]) -> Result<Vec<Action<'_>>, DecodeError> {
    let mut actions = Vec::new();
    for item in Items::new(body)? {
        actions.push(item?.action);
        otlp::check_count(actions.len())?;
    }
    Ok(actions)
}

pub(crate) fn decode(body: &[u8], received_at: i64) -> Result<Decoded<LogRecord>, DecodeError> {
    let budget = Budget::new();
    let mut decoded = Decoded::with_capacity(0);
    let mut reader = document::Reader::new(received_at);
    for item in Items::new(body)? {
        let Item { action, document } = item?;
        otlp::check_count(decoded.items.len() + decoded.rejected.len() + 1)?;
        decoded.push(match (action.kind, document) {
            (ActionKind::Index | ActionKind::Create, Some(document)) => {
                json_value::object(document, &budget)
                    .ok_or(RejectReason::InvalidDocument)
                    .and_then(|members| reader.record(&action, members, &budget))
            }
            (ActionKind::Index | ActionKind::Create, None) => Err(RejectReason::InvalidDocument),
            (ActionKind::Update | ActionKind::Delete, _) => Err(RejectReason::UnsupportedAction),
        });
        if budget.is_spent() {
            return Err(DecodeError::TooHeavy {
                limit: Budget::BYTES,
            });
        }
    }
    Ok(decoded)
}

/// An action and its document's bytes, when it has one.
struct Item<'a> {
    action: Action<'a>,
    document: Option<&'a [u8]>,
}

/// The items of a body, one after the other.
struct Items<'a> {
    index: Option<String>,
    rest: &'a [u8],
    /// Lines of the request that were taken.
    line: usize,
}

impl<'a> Items<'a> {
    fn new(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut items = Self {
            index: None,
            rest: body,
            line: 0,
        };
        let first = items.next_line().unwrap_or_default();
        items.line = 0;
        if !first.is_empty() {
            let index = serde_json::from_slice(first).map_err(|err| DecodeError::json(&err))?;
            items.index = Some(index);
        }
        Ok(items)
    }

    fn next_line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn item(&mut self, line: &'a [u8]) -> Result<Item<'a>, DecodeError> {
        let number = self.line;
        let malformed = |message: &str| DecodeError::Line {
            line: number,
            message: message.to_owned(),
        };
        let action: ActionLine<'a> = serde_json::from_slice(line).map_err(|err| {
            malformed(&format!(
                "expected an action such as {{\"create\":{{}}}}: {err}"
            ))
        })?;
        let (kind, meta) = action
            .the_only()
            .ok_or_else(|| malformed("expected exactly one of index, create, update and delete"))?;
        let document = match kind {
            ActionKind::Delete => None,
            _ => self.next_line(),
        };
        let id = match meta.id {
            None | Some(serde_json::Value::Null) => None,
            Some(serde_json::Value::String(id)) => Some(Cow::Owned(id)),
            Some(other) => Some(Cow::Owned(other.to_string())),
        };
        let action = Action {
            kind,
            index: meta.index.or_else(|| self.index.clone().map(Cow::Owned)),
            id,
        };
        Ok(Item { action, document })
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.next_line()?;
            if !line.trim_ascii().is_empty() {
                return Some(self.item(line));
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionLine<'a> {
    #[serde(borrow)]
    index: Option<Meta<'a>>,
    create: Option<Meta<'a>>,
    update: Option<Meta<'a>>,
    delete: Option<Meta<'a>>,
}

/// What an action says besides; other members (routing, pipelines) change nothing here.
#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(rename = "_index", borrow)]
    index: Option<Cow<'a, str>>,
    #[serde(rename = "_id")]
    id: Option<serde_json::Value>,
}

impl<'a> ActionLine<'a> {
    fn the_only(self) -> Option<(ActionKind, Meta<'a>)> {
        let mut found = [
            (ActionKind::Index, self.index),
            (ActionKind::Create, self.create),
            (ActionKind::Update, self.update),
            (ActionKind::Delete, self.delete),
        ]
        .into_iter()
        .filter_map(|(kind, meta)| Some((kind, meta?)));
        let first = found.next()?;
        match found.next() {
            None => Some(first),
            Some(_) => None,
        }
    }
}
