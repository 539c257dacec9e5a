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
  by: ["severity"];
}

export interface HistogramBucket {
  start: string;
  /** Records by level name (`info`, `error`, …). */
  counts: Record<string, number | string>;
}

export interface HistogramResponse {
  step_ms: number;
  buckets: HistogramBucket[];
  partial?: boolean;
  warnings?: string[];
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
