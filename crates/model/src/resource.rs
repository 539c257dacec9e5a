//! Who produced telemetry: the resource and the instrumentation scope.

use serde::{Deserialize, Serialize};

use crate::value::Attributes;

/// The entity that telemetry is about, as OpenTelemetry's `Resource`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// The resource's attributes.
    pub attributes: Attributes,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// Schema of the attributes, empty when not sent.
    pub schema_url: String,
}

impl Resource {
    /// `service.name`, or `unknown_service` when it is absent or empty.
    pub fn service(&self) -> &str {
        match self.attributes.get_str("service.name") {
            Some(name) if !name.is_empty() => name,
            _ => "unknown_service",
        }
    }
}

/// The library that made the telemetry, as OpenTelemetry's `InstrumentationScope`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The library's name; empty when not sent.
    pub name: String,
    /// The library's version; empty when not sent.
    pub version: String,
    /// The scope's attributes.
    pub attributes: Attributes,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// Schema of the telemetry, empty when not sent.
    pub schema_url: String,
}
