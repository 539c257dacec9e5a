// One trace: its spans, and where its log records are found.
import { get } from "./client";
import type { Completeness, Json, RunTimes } from "./types";

export type SpanKind = "unspecified" | "internal" | "server" | "client" | "producer" | "consumer";

export interface SpanEvent {
  timestamp: string;
  name: string;
  attributes: Record<string, Json>;
}

export interface SpanLink {
  trace_id: string;
  span_id: string;
  trace_state: string;
  attributes: Record<string, Json>;
}

export interface Span {
  /** Unique and stable, also where two spans share a span id. */
  id: string;
  trace_id: string;
  /** 16 hex digits. */
  span_id: string;
  parent_span_id: string | null;
  trace_state: string;
  name: string;
  kind: SpanKind;
  start: string;
  end: string;
  duration_ns: string;
  status: { code: "unset" | "ok" | "error"; message: string };
  service: string;
  resource: Record<string, Json>;
  scope: Record<string, Json>;
  attributes: Record<string, Json>;
  events: SpanEvent[];
  links: SpanLink[];
}

export interface TraceResponse extends Completeness {
  trace_id: string;
  /** Empty only when the answer is partial. */
  spans: Span[];
  /** The search that finds the trace's records. */
  logs: RunTimes;
}

export function getTrace(id: string, signal: AbortSignal): Promise<TraceResponse> {
  return get(`/api/v1/traces/${id}`, signal);
}
