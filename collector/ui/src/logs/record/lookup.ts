// A record's value of a field named as a search names it.
import type { Json, LogRecord } from "../../api/types";
import { levelOf } from "../severity";

type Fields = Record<string, Json>;

/** Undefined when the record does not have the field. */
export function fieldValue(record: LogRecord, field: string): Json | undefined {
  const column = COLUMNS.get(field);
  if (column !== undefined) return column(record) ?? undefined;
  if (field.startsWith("attr.")) return within(record.attributes, field.slice(5));
  if (field.startsWith("resource.")) return within(record.resource, field.slice(9));
  return within(record.attributes, field) ?? within(record.resource, field);
}

const COLUMNS = new Map<string, (record: LogRecord) => Json | undefined>([
  ["severity", levelOf],
  ["level", levelOf],
  ["severity_number", (record) => record.severity_number],
  ["severity_text", (record) => record.severity_text],
  ["body", (record) => record.body],
  ["service", (record) => record.service],
  ["trace_id", (record) => record.trace_id],
  ["span_id", (record) => record.span_id],
  ["event_name", (record) => record.event_name],
  ["timestamp", (record) => record.timestamp],
  ["observed_timestamp", (record) => record.observed_timestamp],
  ["scope", (record) => record.scope.name],
  ["scope_version", (record) => record.scope.version],
]);

/** The key itself, or else a path of keys: `a.b` is also `b` inside of `a`. */
function within(fields: Fields, path: string): Json | undefined {
  if (Object.hasOwn(fields, path)) return fields[path];
  for (let dot = path.indexOf("."); dot > 0; dot = path.indexOf(".", dot + 1)) {
    const inner = fields[path.slice(0, dot)];
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) continue;
    const found = within(inner, path.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** On one line, as a table cell shows it. */
export function fieldText(record: LogRecord, field: string): string {
  const value = fieldValue(record, field);
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
