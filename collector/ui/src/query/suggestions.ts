// What the search bar offers while one writes: fields, values, keywords, forms of
// a test. Names and values come from the server; nothing is offered that it has not.
import type { FieldInfo } from "../api/types";
import { quoteField, quoteValue } from "./edit";
import { searchedName } from "./fieldNames";
import type { Place } from "./place";

export interface Suggestion {
  label: string;
  /** What is inserted; `${name}` marks a place to fill in. */
  insert: string;
  detail: string;
  /** Whether the writing goes on behind it. */
  continues: boolean;
  /** Higher comes first. */
  rank: number;
}

const LEVEL_NAMES = ["trace", "debug", "info", "warn", "error", "fatal", "unset"];

/** Fields that every record may have, with what they are. */
const FIXED: [string, string][] = [
  ["service", "the resource's service.name"],
  ["severity", "level: >=warn, error, unset …"],
  ["body", "the message"],
  ["trace_id", "32 hex digits"],
  ["span_id", "16 hex digits"],
  ["event_name", "the event's name"],
  ["scope", "the instrumentation library"],
  ["severity_text", "the source's own word"],
  ["severity_number", "1 to 24"],
  ["timestamp", ">now-5m, a time"],
];

export function wordSuggestions(place: Place, fields: readonly FieldInfo[]): Suggestion[] {
  const fixed = new Map(FIXED);
  const kinds = new Map(fields.map((field) => [searchedName(field), field]));
  const names = new Set([...fixed.keys(), ...kinds.keys()]);
  const offered = [...names].map((name): Suggestion => {
    const info = kinds.get(name);
    const detail = fixed.get(name) ?? [info?.kind, info?.types.join("/")].filter(Boolean).join(" · ");
    return { label: name, insert: `${quoteField(name)}:`, detail, continues: true, rank: fixed.has(name) ? 1 : 0 };
  });
  const keyword = (label: string, detail: string): Suggestion => ({
    label,
    insert: `${label} `,
    detail,
    continues: true,
    rank: -1,
  });
  if (place.afterTerm) offered.push(keyword("AND", "both; a space says the same"), keyword("OR", "one of them"));
  offered.push(keyword("NOT", "all but these"));
  return offered;
}

export interface Value {
  value: string;
  count: string | null;
}

export function valueSuggestions(place: Place, values: readonly Value[]): Suggestion[] {
  const isLevel = place.field === "severity" || place.field === "level";
  const levels = LEVEL_NAMES.filter((name) => name.startsWith(place.prefix.toLowerCase()));
  const known = isLevel ? levels.map((value) => ({ value, count: null })) : values;
  const offered = known.map(({ value, count }): Suggestion => ({
    label: value === "" ? '""' : value,
    insert: quoteValue(value),
    detail: count === null ? "" : Number(count).toLocaleString("en"),
    continues: false,
    rank: 0,
  }));
  const fresh = place.prefix === "" && !place.compared;
  return fresh ? [...offered, ...forms(place)] : offered;
}

/** The tests that a field's value may be put to. */
function forms({ field, inList }: Place): Suggestion[] {
  const form = (label: string, insert: string, detail: string, continues = false): Suggestion => ({
    label,
    insert,
    detail,
    continues,
    rank: -2,
  });
  if (inList) return [];
  const ordered = [
    form(">=", ">=", "at least; also > < <=: numbers, 250ms, 10KB", true),
    form("[a TO b]", "[${from} TO ${to}]", "a range with its ends; {a TO b} without"),
  ];
  if (field === "body") {
    return [form("/…/", "/${expression}/", "a regular expression"), form('="…"', '="${text}"', "the whole message")];
  }
  const texts = [
    form("/…/", "/${expression}/", "a regular expression"),
    form("begins*", "${beginning}*", "values that begin so; * and ? anywhere"),
  ];
  const isLevel = field === "severity" || field === "level";
  return [
    form("*", "*", "records that have the field"),
    ...ordered,
    form("(a OR b)", "(${one} OR ${other})", "one of several"),
    ...(isLevel ? [] : texts),
  ];
}
