// The forms of the server's JSON, as the pages use them. Times are RFC 3339
// with nine digits; 64-bit integers arrive as strings.

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

export interface LogRecord {
  /** Unique and stable; orders records of the same instant. */
  id: string;
  timestamp: string;
  observed_timestamp?: string | null;
  /** OTLP's number, 1–24; 0 when unset. */
  severity_number: number;
  severity_text?: string | null;
  /** The level that the record counts as: of its number or, when unset, of its texts. */
  detected_level: string;
  body: Json;
  trace_id?: string | null;
  span_id?: string | null;
  service?: string | null;
  event_name?: string | null;
  resource: Record<string, Json>;
  scope: Record<string, Json>;
  attributes: Record<string, Json>;
}

export type Order = "newest" | "oldest";

export interface SearchRequest {
  start: string;
  end: string;
  query: string;
  limit: number;
  order: Order;
  cursor?: string;
}

export interface SearchStats {
  splits: number;
  blocks_total: number;
  blocks_scanned: number;
  rows_scanned: number;
  elapsed_ms: number;
}

export interface SearchPage {
  records: LogRecord[];
  /** Where the next page begins; absent or null on the last page. */
  cursor?: string | null;
  /** True when some of the data could not be read: records may be missing. */
  partial: boolean;
  /** What is missing and why, a sentence each. */
  warnings?: string[];
  stats: SearchStats;
}

export interface HistogramRequest {
  start: string;
  end: string;
  query: string;
  buckets: number;
  /** The field whose values are counted apart, if any. */
  by: string[];
  /** The most values that are counted apart. */
  groups: number;
}

export interface HistogramBucket {
  start: string;
  /** Records by the value of the field asked for; the empty value is "without it". */
  counts: Record<string, number | string>;
  /** Records with a value that is not counted apart. */
  other: number;
}

export interface HistogramResponse {
  step_ms: number;
  buckets: HistogramBucket[];
  partial?: boolean;
  warnings?: string[];
}

/** What the endpoints around the search have in common. */
export interface RunTimes {
  start: string;
  end: string;
  query: string;
}

/** Whether an answer is whole; `warnings` say what is missing, a sentence each. */
export interface Completeness {
  partial?: boolean;
  warnings?: string[];
}

export interface FacetsRequest extends RunTimes {
  fields: string[];
  limit: number;
}

export interface Facet {
  field: string;
  values: { value: string; count: string }[];
  /** How many values there are. */
  distinct: string;
  /** Records with a value that is not listed. */
  other: string;
  /** Matching records without the field. */
  missing: string;
  /** A memory bound kept the values from being exact. */
  truncated: boolean;
}

export interface FacetsResponse extends Completeness {
  facets: Facet[];
}

export type FieldKind = "column" | "attribute" | "resource";
export type FieldType = "text" | "integer" | "double" | "boolean" | "mixed";

export interface FieldInfo {
  name: string;
  kind: FieldKind;
  types: FieldType[];
}

export interface FieldsResponse extends Completeness {
  /** By name. */
  fields: FieldInfo[];
  /** There are more than were asked for. */
  truncated: boolean;
}

export interface ValuesResponse extends Completeness {
  values: { value: string; count: string | null }[];
  exact: boolean;
}

export interface ContextRequest {
  id: string;
  before: number;
  after: number;
  before_cursor?: string;
  after_cursor?: string;
}

export interface ContextResponse extends Completeness {
  /** Oldest first, the nearest last. */
  before: LogRecord[];
  record: LogRecord;
  after: LogRecord[];
  before_cursor?: string | null;
  after_cursor?: string | null;
}

export interface PatternsRequest extends RunTimes {
  limit: number;
  compare?: { start: string; end: string };
}

export type PatternChange = "new" | "gone" | "more" | "less" | "same";

export interface Pattern {
  /** Constant text with `<_>` where it varies. */
  pattern: string;
  count: string;
  /** Records by level name. */
  severity: Record<string, string | number>;
  first: string | null;
  last: string | null;
  samples: LogRecord[];
  /** Records in the range compared with; null when none was. */
  baseline: string | null;
  change: PatternChange | null;
}

export interface PatternsResponse extends Completeness {
  patterns: Pattern[];
  /** How many patterns there are, also those that are not listed. */
  distinct: string;
  /** How many records match. */
  records: string;
  /** Whether only some of them were looked at: counts are then estimates. */
  sampled: boolean;
}

/** Records that a slow reader of the tail did not get. */
export interface Dropped {
  count: number;
  since: string;
}

/** A place in the query, in UTF-8 bytes. */
export interface BytePosition {
  offset: number;
  length: number;
}

export interface ErrorBody {
  code: string;
  message: string;
  hint?: string | null;
  position?: BytePosition | null;
  request_id?: string | null;
}

export type AlertState = "firing" | "pending" | "inactive";

export interface Alert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  state: AlertState;
  activeAt?: string | null;
  keepFiringSince?: string | null;
  /** Go's scientific form, such as "1.5e+00". */
  value: string;
}

interface RuleBase {
  name: string;
  query: string;
  labels?: Record<string, string>;
  health: "ok" | "err" | "unknown";
  lastError?: string;
  /** Seconds. */
  evaluationTime?: number;
  lastEvaluation?: string;
}

export interface AlertingRule extends RuleBase {
  type: "alerting";
  state: AlertState;
  /** The rule's `for`, in seconds. */
  duration: number;
  keepFiringFor?: number;
  annotations?: Record<string, string>;
  alerts?: Alert[];
}

export interface RecordingRule extends RuleBase {
  type: "recording";
}

export type Rule = AlertingRule | RecordingRule;

export interface RuleGroup {
  name: string;
  file: string;
  /** Seconds between evaluations. */
  interval: number;
  evaluationTime?: number;
  lastEvaluation?: string;
  rules: Rule[];
}
