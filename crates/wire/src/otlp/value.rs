//! `AnyValue`, attributes, resources and scopes, in both directions.

use model::{Attributes, Resource, Scope, Value};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value as Wire,
};
use opentelemetry_proto::tonic::resource::v1::Resource as WireResource;

/// The model's value. Recursion is bounded by the decoders, which refuse deep nesting.
pub(super) fn value(wire: Option<AnyValue>) -> Value {
    match wire.and_then(|any| any.value) {
        // References into a profile's string table mean nothing in the other signals.
        None | Some(Wire::StringValueStrindex(_)) => Value::Empty,
        Some(Wire::StringValue(text)) => Value::String(text),
        Some(Wire::BoolValue(flag)) => Value::Bool(flag),
        Some(Wire::IntValue(number)) => Value::Int(number),
        Some(Wire::DoubleValue(number)) => Value::Double(number),
        Some(Wire::BytesValue(bytes)) => Value::Bytes(bytes),
        Some(Wire::ArrayValue(array)) => Value::Array(
            array
                .values
                .into_iter()
                .map(|element| value(Some(element)))
                .collect(),
        ),
        Some(Wire::KvlistValue(list)) => Value::Map(pairs(list.values)),
    }
}

pub(super) fn attributes(wire: Vec<KeyValue>) -> Attributes {
    Attributes(pairs(wire))
}

fn pairs(wire: Vec<KeyValue>) -> Vec<(String, Value)> {
    wire.into_iter()
        .map(|pair| (pair.key, value(pair.value)))
        .collect()
}

pub(super) fn resource(wire: Option<WireResource>, schema_url: String) -> Resource {
    let wire = wire.unwrap_or_default();
    Resource {
        attributes: attributes(wire.attributes),
        dropped_attributes_count: wire.dropped_attributes_count,
        schema_url,
    }
}

pub(super) fn scope(wire: Option<InstrumentationScope>, schema_url: String) -> Scope {
    let wire = wire.unwrap_or_default();
    Scope {
        name: wire.name,
        version: wire.version,
        attributes: attributes(wire.attributes),
        dropped_attributes_count: wire.dropped_attributes_count,
        schema_url,
    }
}

/// The wire's value; `None` for an empty one.
pub(super) fn to_value(value: &Value) -> AnyValue {
    let wire = match value {
        Value::Empty => None,
        Value::String(text) => Some(Wire::StringValue(text.clone())),
        Value::Bool(flag) => Some(Wire::BoolValue(*flag)),
        Value::Int(number) => Some(Wire::IntValue(*number)),
        Value::Double(number) => Some(Wire::DoubleValue(*number)),
        Value::Bytes(bytes) => Some(Wire::BytesValue(bytes.clone())),
        Value::Array(elements) => Some(Wire::ArrayValue(ArrayValue {
            values: elements.iter().map(to_value).collect(),
        })),
        Value::Map(entries) => Some(Wire::KvlistValue(KeyValueList {
            values: to_pairs(entries),
        })),
    };
    AnyValue { value: wire }
}

pub(super) fn to_attributes(attributes: &Attributes) -> Vec<KeyValue> {
    to_pairs(&attributes.0)
}

fn to_pairs(entries: &[(String, Value)]) -> Vec<KeyValue> {
    entries
        .iter()
        .map(|(key, value)| KeyValue {
            key: key.clone(),
            value: Some(to_value(value)),
            key_strindex: 0,
        })
        .collect()
}

pub(super) fn to_resource(resource: &Resource) -> WireResource {
    WireResource {
        attributes: to_attributes(&resource.attributes),
        dropped_attributes_count: resource.dropped_attributes_count,
        entity_refs: Vec::new(),
    }
}

pub(super) fn to_scope(scope: &Scope) -> InstrumentationScope {
    InstrumentationScope {
        name: scope.name.clone(),
        version: scope.version.clone(),
        attributes: to_attributes(&scope.attributes),
        dropped_attributes_count: scope.dropped_attributes_count,
    }
}
