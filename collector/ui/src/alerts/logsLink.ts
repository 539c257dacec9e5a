// The way from an alert to the logs behind it, as in the alert's e-mail:
// absolute times, beginning one longest window before it became active.
import type { Alert, Rule } from "../api/types";
import { DEFAULT_STATE, logsUrl } from "../logs/state";
import { serviceOf } from "../metrics/graph/names";
import { quoteValue } from "../query/edit";
import { longestWindow } from "../time/duration";
import { absolute, serverTime } from "../time/range";

const SHORTEST = 5 * 60_000;

export function logsQuery(rule: Rule, alert: Alert): string {
  const written = alert.annotations.logs_query;
  if (written) return written;
  const service = serviceOf({ ...rule.labels, ...alert.labels });
  const severe = "severity:>=error";
  return service ? `service:${quoteValue(service)} AND ${severe}` : severe;
}

export function logsLink(rule: Rule, alert: Alert, now: number): string {
  const active = alert.activeAt ? serverTime(alert.activeAt) : Number.NaN;
  const end = Math.ceil(now / 1000) * 1000;
  const since = Number.isFinite(active) ? Math.min(active, end - 1) : end;
  const start = Math.floor((since - Math.max(SHORTEST, longestWindow(rule.query))) / 1000) * 1000;
  return logsUrl({
    ...DEFAULT_STATE,
    query: logsQuery(rule, alert),
    range: absolute({ start: Math.max(0, start), end }),
  });
}
