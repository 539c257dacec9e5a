// The ways from a trace to its log records.
import type { TraceResponse } from "../api/traces";
import { DEFAULT_STATE, logsUrl } from "../logs/state";
import { quoteValue } from "../query/edit";
import { absolute, serverTime, type RangeText } from "../time/range";

const AROUND_MS = 3_600_000;
const LATELY: RangeText = { from: "now-24h", to: "now" };

/** The records of a trace, from an hour before `time` (Unix ms) to an hour after; without it, of the last day. */
export function logsNear(trace: string, time: number | undefined): string {
  const range =
    time === undefined ? LATELY : absolute({ start: Math.max(0, Math.floor(time) - AROUND_MS), end: Math.ceil(time) + AROUND_MS });
  return oldestFirst(`trace_id:${quoteValue(trace)}`, range);
}

/** The records of a trace, where the server says they are. */
export function logsOfTrace({ logs }: TraceResponse): string {
  return oldestFirst(logs.query, timesOf(logs));
}

/** The records that one of its spans wrote. */
export function logsOfSpan({ logs }: TraceResponse, span: string): string {
  return oldestFirst(`${logs.query} AND span_id:${quoteValue(span)}`, timesOf(logs));
}

function timesOf({ start, end }: TraceResponse["logs"]): RangeText {
  return absolute({ start: serverTime(start), end: Math.ceil(serverTime(end)) + 1 });
}

function oldestFirst(query: string, range: RangeText): string {
  return logsUrl({ ...DEFAULT_STATE, query, range, order: "oldest" });
}
