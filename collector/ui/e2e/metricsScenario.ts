// The metrics of the tests: ten minutes of requests of a task API, with exemplars that
// name the trace of the failing ones.
import type { SentMetric } from "./otlp";
import { FAILING_TRACE, failingRange, MINUTES } from "./scenario";

export const ROUTES = ["/api/v1/login", "/api/v1/tasks", "/api/v1/tasks/{id}"] as const;
export const STATUSES = ["200", "500"] as const;
export const SERIES = ROUTES.length * STATUSES.length;
/** When nothing was measured: the fourth minute. */
export const GAP = { from: 3 * 60_000, to: 4 * 60_000 };

const EVERY_MS = 15_000;
const BORDERS = [0.01, 0.05, 0.1, 0.5, 1];

/** Unix ms of every measurement. */
function times(start: number): number[] {
  const all = Array.from({ length: (MINUTES * 60_000) / EVERY_MS + 1 }, (_, n) => start + n * EVERY_MS);
  return all.filter((time) => time - start <= GAP.from || time - start >= GAP.to);
}

export function metrics(start: number): SentMetric[] {
  const at = times(start);
  const failing = failingRange(start);
  const requests: SentMetric = {
    name: "http.server.requests",
    description: "Requests answered.",
    unit: "{request}",
    sum: at.flatMap((time, n) =>
      ROUTES.flatMap((route, r) =>
        STATUSES.map((status) => ({
          start,
          time,
          value: (n + 1) * (status === "500" ? 1 : 10 * (r + 1)),
          attributes: { "http.route": route, "http.response.status_code": status },
        })),
      ),
    ),
  };
  const durations: SentMetric = {
    name: "http.server.request.duration",
    description: "How long requests took.",
    unit: "s",
    borders: BORDERS,
    histogram: at.map((time, n) => {
      const slow = time >= failing.from && time < failing.to;
      return {
        start,
        time,
        counts: [10, 20, 5, 2, 1, 0].map((count) => count * (n + 1)),
        sum: 2.5 * (n + 1),
        ...(slow ? { exemplar: { time, value: 0.4, traceId: FAILING_TRACE } } : {}),
      };
    }),
  };
  const native: SentMetric = {
    name: "db.client.operation.duration",
    description: "How long the database took.",
    unit: "s",
    exponential: at.map((time, n) => ({ start, time, counts: [1, 2, 3].map((count) => count * (n + 1)), sum: 6 * (n + 1) })),
  };
  const memory: SentMetric = {
    name: "process.memory.usage",
    description: "Resident memory.",
    unit: "By",
    gauge: at.map((time, n) => ({ start, time, value: 100 * 1024 * 1024 + n * 1024 * 1024 })),
  };
  return [requests, durations, native, memory];
}
