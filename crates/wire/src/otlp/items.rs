//! Log records and spans as they came: checked, but left in their protobuf messages.
//!
//! A request is walked once. Each item becomes a slice of the body with the little that ingest has
//! to know of it; its fields are read later, in place, by [`super::LogView`] and
//! [`super::SpanView`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use model::{Resource, Scope, Seq};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource as WireResource;
use prost::Message;

use super::reader::{Content, Fields, Irregular, MAX_DEPTH, once};
use super::{Decoded, value, view};
use crate::admission::RejectReason;

/// One log record or span, with what it shares with others of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// When it happened, Unix ns; of a span, its start. Already resolved to the observed or the
    /// receive time when the sender gave none.
    pub time: i64,
    /// Who produced it.
    pub resource: Arc<Resource>,
    /// The library that emitted it.
    pub scope: Arc<Scope>,
    /// The protobuf message `LogRecord` or `Span`, checked.
    pub message: Bytes,
}

/// The resources and scopes of recent requests. Senders repeat theirs in every request; here
/// equal ones are decoded once and shared.
#[derive(Debug, Default)]
pub struct Origins {
    resources: Mutex<Recent<Resource>>,
    scopes: Mutex<Recent<Scope>>,
}

/// Encoded bytes that one cache may hold; past this it starts anew.
const MAX_RECENT_BYTES: usize = 4 << 20;

#[derive(Debug)]
struct Recent<T> {
    by_message: HashMap<Box<[u8]>, Arc<T>>,
    bytes: usize,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            by_message: HashMap::new(),
            bytes: 0,
        }
    }
}

impl<T> Recent<T> {
    fn get(&mut self, key: &[u8], decode: impl FnOnce() -> T) -> Arc<T> {
        if let Some(known) = self.by_message.get(key) {
            return Arc::clone(known);
        }
        if self.bytes + key.len() > MAX_RECENT_BYTES {
            *self = Self::default();
        }
        let decoded = Arc::new(decode());
        self.bytes += key.len();
        self.by_message.insert(key.into(), Arc::clone(&decoded));
        decoded
    }
}

/// The message of a resource or scope and its schema URL, as one key.
fn key_of(message: &[u8], schema_url: &str) -> Vec<u8> {
    let length = message.len() as u64;
    [&length.to_le_bytes(), message, schema_url.as_bytes()].concat()
}

impl Origins {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn resource(&self, message: &[u8], schema_url: &str) -> Result<Arc<Resource>, Irregular> {
        view::check_origin(Fields::new(message, MAX_DEPTH - 2), [1, 2, 3], &[])?;
        let decode = || {
            let wire = WireResource::decode(message).ok();
            value::resource(wire, schema_url.to_owned())
        };
        let mut recent = self
            .resources
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(recent.get(&key_of(message, schema_url), decode))
    }

    fn scope(&self, message: &[u8], schema_url: &str) -> Result<Arc<Scope>, Irregular> {
        // A scope has no entities.
        view::check_origin(Fields::new(message, MAX_DEPTH - 3), [3, 4, 0], &[1, 2])?;
        let decode = || {
            let wire = InstrumentationScope::decode(message).ok();
            value::scope(wire, schema_url.to_owned())
        };
        let mut recent = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(recent.get(&key_of(message, schema_url), decode))
    }
}

/// A checked message: the item's time, or why it alone is refused.
pub(super) type Checked = Result<Result<i64, RejectReason>, Irregular>;

/// Walks an export request of log records or of spans, which have the same envelopes. `check`
/// reads one item's message to its end.
pub(super) fn walk(
    body: &Bytes,
    origins: &Origins,
    check: impl Fn(Fields<'_>) -> Checked,
) -> Result<Decoded<Item>, Irregular> {
    let mut decoded = Decoded::with_capacity(0);
    let mut request = Fields::new(body, MAX_DEPTH);
    while let Some((number, content)) = request.next()? {
        match number {
            1 => {
                let group = Group::read(request.inside(content)?)?;
                let resource = origins.resource(group.origin, group.schema_url)?;
                for scope_group in &group.members {
                    let group = Group::read(group.fields.inside(*scope_group)?)?;
                    let scope = origins.scope(group.origin, group.schema_url)?;
                    decoded.items.reserve(group.members.len());
                    for member in &group.members {
                        let time = check(group.fields.inside(*member)?)?;
                        let message = member.bytes()?;
                        decoded.push(time.map(|time| Item {
                            time,
                            resource: Arc::clone(&resource),
                            scope: Arc::clone(&scope),
                            message: body.slice_ref(message),
                        }));
                    }
                    if decoded.items.len() + decoded.rejected.len() > Seq::MAX_ITEMS {
                        return Err(Irregular);
                    }
                }
            }
            _ => request.skip()?,
        }
    }
    let kept: usize = decoded
        .items
        .iter()
        .map(|(_, item)| item.message.len())
        .sum();
    if kept < body.len() / 2 {
        compact(&mut decoded.items, kept);
    }
    Ok(decoded)
}

/// What the envelopes of a resource and of a scope have in common: the origin, its members, the
/// origin's schema.
struct Group<'a> {
    fields: Fields<'a>,
    origin: &'a [u8],
    members: Vec<Content<'a>>,
    schema_url: &'a str,
}

impl<'a> Group<'a> {
    fn read(fields: Fields<'a>) -> Result<Self, Irregular> {
        let (mut origin, mut members, mut schema_url) = (None, Vec::new(), "");
        let mut rest = fields;
        while let Some((number, content)) = rest.next()? {
            match number {
                1 => once(&mut origin, content.bytes()?)?,
                2 => members.push(content),
                3 => schema_url = content.text()?,
                _ => rest.skip()?,
            }
        }
        Ok(Self {
            fields,
            origin: origin.unwrap_or_default(),
            members,
            schema_url,
        })
    }
}

/// Moves the items' messages out of a body that is mostly something else and would be kept whole
/// for them.
fn compact(items: &mut [(u32, Item)], bytes: usize) {
    let mut messages = Vec::with_capacity(bytes);
    for (_, item) in items.iter() {
        messages.extend_from_slice(&item.message);
    }
    let mut messages = Bytes::from(messages);
    for (_, item) in items {
        item.message = messages.split_to(item.message.len());
    }
}
