// The data of the tests: ten minutes of a task API, one of them with failing requests.
import type { SentLog } from "./otlp";

export interface Scenario {
  url: string;
  otlp: string;
  /** The folder of the mails that the server sent. */
  mails: string;
  /** Unix ms of the first record; the last lies ten minutes later. */
  start: number;
}

export const MINUTES = 10;
export const REQUESTS = 3000;
export const FAILURES = 40;
export const FAILING_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
export const ODD_VALUE = 'say "größe" \\ (x) AND';
export const TOTAL = REQUESTS + FAILURES + 3;

const MINUTE = 60_000;

/** When requests failed: the seventh minute. */
export function failingRange(start: number): { from: number; to: number } {
  return { from: start + 6 * MINUTE, to: start + 7 * MINUTE };
}

export function records(start: number): SentLog[] {
  const requests = Array.from({ length: REQUESTS }, (_, i): SentLog => ({
    time: start + Math.floor((i * MINUTES * MINUTE) / REQUESTS),
    severity: i % 10 === 0 ? 5 : 9,
    body: i % 10 === 0 ? "cache miss for the task list" : `GET /api/v1/tasks answered 200`,
    service: i % 5 === 0 ? "task-worker" : "task-api",
    attributes: { number: i, "http.route": "/api/v1/tasks", "duration.ms": 1.5 },
  }));
  const failures = Array.from({ length: FAILURES }, (_, i): SentLog => ({
    time: failingRange(start).from + i * 1000,
    severity: 17,
    body: "request failed: connection refused by the database",
    service: "task-api",
    attributes: {
      "http.route": "/api/v1/tasks/{id}",
      "http.response.status_code": 500,
      "error.type": "sqlx::Error",
      retried: i % 2 === 0,
      attempts: [1, 2, 3],
    },
    ...(i < 3 ? { traceId: FAILING_TRACE } : {}),
  }));
  const odd: SentLog[] = [
    { time: start + 2 * MINUTE, severity: 13, body: "odd but true", service: "task-api", attributes: { note: ODD_VALUE } },
    { time: start + 2 * MINUTE + 1, severity: 13, body: "naïve café: größe 7", service: "task-api" },
    { time: start + 2 * MINUTE + 2, severity: 13, body: '{"kind":"json","deep":{"list":[1,2]}}', service: "task-api" },
  ];
  return [...requests, ...failures, ...odd].sort((a, b) => a.time - b.time);
}

export function inRange(start: number, from: number, to: number): number {
  // The records' times have 123,456 ns behind the millisecond.
  return records(start).filter((log) => log.time >= from && log.time < to).length;
}
