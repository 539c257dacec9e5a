// How a search names the attributes of records and resources.
import type { FieldInfo } from "../api/types";

/** Names the search keeps for itself: an attribute of that name is written `attr.name`. */
const FIXED = new Set([
  "timestamp",
  "observed_timestamp",
  "severity",
  "level",
  "severity_number",
  "severity_text",
  "body",
  "service",
  "trace_id",
  "span_id",
  "event_name",
  "scope",
  "scope_name",
  "scope_version",
]);

export function attributeField(key: string): string {
  const taken = FIXED.has(key) || /^(attr|resource|body)\./.test(key);
  return taken ? `attr.${key}` : key;
}

export function resourceField(key: string): string {
  return key === "service.name" ? "service" : `resource.${key}`;
}

/** The name in a search of a field that the server lists. */
export function searchedName({ kind, name }: FieldInfo): string {
  if (kind === "attribute") return attributeField(name);
  return kind === "resource" ? resourceField(name) : name;
}
