// The way from a series to the logs of the service behind it.
import { DEFAULT_STATE, logsUrl } from "../logs/state";
import { quoteValue } from "../query/edit";
import { longestWindow } from "../time/duration";
import { absolute, type TimeRange } from "../time/range";
import type { Labels } from "../api/prometheus";
import { serviceOf } from "./graph/names";

const LEAST_MS = 60_000;

/** Undefined when no label names a service. */
export function logsLink(labels: Labels, range: TimeRange): string | undefined {
  const service = serviceOf(labels);
  if (service === undefined || service === "") return undefined;
  return logsUrl({ ...DEFAULT_STATE, query: `service:${quoteValue(service)}`, range: absolute(range) });
}

/** What a point of an expression's graph was computed from, at least a minute. */
export function behindPoint(expression: string, time: number, step: number): TimeRange {
  const length = Math.max(LEAST_MS, step, longestWindow(expression));
  return { start: Math.max(0, Math.floor(time - length)), end: Math.ceil(time) + Math.min(step, LEAST_MS) };
}
