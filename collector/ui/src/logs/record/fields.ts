// A record's fields as the drawer lists them, each with the search term that
// matches it where there is one.
import type { Json, LogRecord } from "../../api/types";
import { attributeField, resourceField } from "../../query/fieldNames";
import { serverTime } from "../../time/range";
import { traceUrl } from "../../traces/state";
import { levelOf, type Level } from "../severity";

export interface Field {
  name: string;
  /** As shown: text as it is, arrays and objects as JSON, indented when long. */
  text: string;
  nested: boolean;
  /** The field's name in a search; undefined when it has none. */
  searched: string | undefined;
  /** The value in a search; undefined when it cannot be filtered by. */
  value: string | undefined;
  /** Where the value leads. */
  href?: string;
}

export interface FieldSection {
  title: string;
  fields: Field[];
}

const SHORT_JSON = 48;

export function sections(record: LogRecord): FieldSection[] {
  const attributes = Object.entries(record.attributes).map(([key, value]) =>
    field(key, value, attributeField(key)),
  );
  const resource = Object.entries(record.resource).map(([key, value]) =>
    field(key, value, resourceField(key)),
  );
  const scope = Object.entries(record.scope)
    .filter(([, value]) => !isEmpty(value))
    .map(([key, value]) => field(key, value, scopeField(key)));
  return [
    { title: "Attributes", fields: attributes.sort(byName) },
    { title: "Record", fields: recordFields(record) },
    { title: "Resource", fields: resource.sort(byName) },
    { title: "Scope", fields: scope },
  ].filter((section) => section.fields.length > 0);
}

function recordFields(record: LogRecord): Field[] {
  const level = levelOf(record);
  const shown: Field[] = [
    { name: "severity", text: severityText(record, level), nested: false, searched: "severity", value: level },
  ];
  const texts: [string, string | null | undefined][] = [
    ["service", record.service],
    ["event_name", record.event_name],
  ];
  for (const [name, value] of texts) if (value) shown.push(field(name, value, name));
  const { trace_id: trace, span_id: span } = record;
  if (trace) shown.push({ ...field("trace_id", trace, "trace_id"), href: recordTrace(record, trace) });
  if (span) shown.push(field("span_id", span, "span_id"));
  if (record.observed_timestamp) {
    const text = record.observed_timestamp;
    shown.push({ name: "observed_timestamp", text, nested: false, searched: "observed_timestamp", value: undefined });
  }
  shown.push({ name: "id", text: record.id, nested: false, searched: undefined, value: undefined });
  return shown;
}

/** The trace that a record belongs to, at the record's span. */
export function recordTrace(record: LogRecord, trace: string): string {
  return traceUrl(trace, { span: record.span_id ?? undefined, at: serverTime(record.timestamp) });
}

/** What was sent, and the level where only the text says it. */
function severityText(record: LogRecord, level: Level): string {
  const { severity_number: number, severity_text: word } = record;
  if (number !== 0 || level === "unset") return word ? `${word} (${number})` : `${level} (${number})`;
  return `${level} by its text (sent: ${word ? `${word}, ` : ""}0)`;
}

function scopeField(key: string): string | undefined {
  return key === "name" || key === "version" ? `scope_${key}` : undefined;
}

function field(name: string, value: Json, searched: string | undefined): Field {
  const nested = typeof value === "object" && value !== null;
  const text = nested ? jsonText(value) : String(value);
  const filterable = searched !== undefined && !nested && value !== null;
  return { name, text, nested, searched, value: filterable ? text : undefined };
}

/** On one line when it is short. */
export function jsonText(value: Json): string {
  const line = JSON.stringify(value);
  return line.length <= SHORT_JSON ? line : JSON.stringify(value, null, 2);
}

function isEmpty(value: Json): boolean {
  return value === "" || value === null || (typeof value === "object" && Object.keys(value).length === 0);
}

function byName(a: Field, b: Field): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** The message on one line; a body that is no text is compact JSON. */
export function messageText(record: LogRecord): string {
  if (typeof record.body === "string") return record.body;
  return record.body === null ? "" : JSON.stringify(record.body);
}

/** The message at full length; JSON is indented. */
export function messageBlock(record: LogRecord): string {
  if (typeof record.body !== "string") {
    return record.body === null ? "" : JSON.stringify(record.body, null, 2);
  }
  if (!/^\s*[[{]/.test(record.body)) return record.body;
  try {
    return JSON.stringify(JSON.parse(record.body), null, 2);
  } catch {
    return record.body;
  }
}

/** `key=value` of the attributes that have no column. */
export function attributeTexts(record: LogRecord, columns: readonly string[]): string[] {
  const texts: string[] = [];
  for (const [key, value] of Object.entries(record.attributes)) {
    if (columns.includes(attributeField(key))) continue;
    texts.push(`${key}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`);
    if (texts.length === MOST_IN_PREVIEW) break;
  }
  return texts;
}

/** The same on one line, for the end of a row. */
export function attributePreview(record: LogRecord, columns: readonly string[]): string {
  return attributeTexts(record, columns).join("  ").slice(0, LONGEST_PREVIEW);
}

const MOST_IN_PREVIEW = 12;
const LONGEST_PREVIEW = 600;
