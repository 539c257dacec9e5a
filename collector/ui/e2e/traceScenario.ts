// The trace of the failing requests, and one as large as traces get.
import { SPAN_ID, type SentSpan } from "./otlp";
import { FAILING_TRACE, failingRange } from "./scenario";

export const ROOT = "POST /checkout";
/** The span that wrote the trace's log records. */
export const FAILING = "GET /api/v1/tasks/{id}";
export const SPANS = 12;
/** The trace that a span of the failing one is linked to; no span of it is sent. */
export const LINKED_TRACE = "0af7651916cd43dd8448eb211c80319c";

const SERVER = 2;
const CLIENT = 3;
const PRODUCER = 4;
const CONSUMER = 5;

const id = (n: number) => n.toString(16).padStart(16, "0");

/** A checkout whose task API fails three times; a worker's clock is late, and a span's parent is lost. */
export function failingTrace(start: number): SentSpan[] {
  const { from } = failingRange(start);
  const of = (service: string) => ({ traceId: FAILING_TRACE, service });
  const stack = ["sqlx::Error: connection refused", "   at task_api::store::find (src/store.rs:41)", "   at task_api::http::get_task (src/http.rs:88)"];
  const attempt = (n: number): SentSpan => ({
    ...of("task-api"),
    id: id(20 + n),
    parent: SPAN_ID,
    name: "SELECT tasks",
    kind: CLIENT,
    start: from + n * 1000 - 40,
    duration: 60 + 35 * n,
    error: "connection refused by the database",
    attributes: { "db.system.name": "postgresql", "db.query.text": "SELECT * FROM tasks WHERE id = $1", attempt: n + 1, "server.address": "db-1" },
    events: [
      {
        time: from + n * 1000,
        name: "exception",
        attributes: { "exception.type": "sqlx::Error", "exception.message": "connection refused", "exception.stacktrace": stack.join("\n"), "exception.escaped": true },
      },
    ],
  });
  return [
    { ...of("web"), id: id(1), name: ROOT, kind: SERVER, start: from - 180, duration: 2610, error: "upstream failed", attributes: { "http.request.method": "POST", "http.route": "/checkout", "http.response.status_code": 502 } },
    { ...of("web"), id: id(2), parent: id(1), name: "read session", start: from - 172, duration: 38.25 },
    { ...of("redis"), id: id(3), parent: id(2), name: "GET session", kind: SERVER, start: from - 164, duration: 11.4 },
    { ...of("web"), id: id(4), parent: id(1), name: "GET task", kind: CLIENT, start: from - 120, duration: 2440, error: "503 Service Unavailable" },
    {
      ...of("task-api"),
      id: SPAN_ID,
      parent: id(4),
      name: FAILING,
      kind: SERVER,
      start: from - 90,
      duration: 2390,
      error: "request failed",
      attributes: { "http.route": "/api/v1/tasks/{id}", "http.response.status_code": 503, retried: true, tries: [1, 2, 3] },
      events: [{ time: from + 500, name: "retry", attributes: { "retry.after": "1s" } }],
      links: [{ traceId: LINKED_TRACE, spanId: id(77), attributes: { "link.kind": "earlier attempt" } }],
    },
    attempt(0),
    attempt(1),
    attempt(2),
    { ...of("web"), id: id(5), parent: id(1), name: "publish failure", kind: PRODUCER, start: from + 2330, duration: 42 },
    // The worker's clock is 25 ms late.
    { ...of("task-worker"), id: id(6), parent: id(5), name: "tasks process", kind: CONSUMER, start: from + 2305, duration: 95 },
    { ...of("task-worker"), id: id(7), parent: id(6), name: "send mail", kind: CLIENT, start: from + 2330, duration: 51 },
    { ...of("task-worker"), id: id(8), parent: id(99), name: "tidy up", start: from + 2380, duration: 30 },
  ];
}

/** A root whose 99 children have a hundred spans each. */
export function largeTrace(traceId: string, start: number): SentSpan[] {
  const root: SentSpan = { traceId, id: id(1), name: "nightly run", service: "task-worker", start, duration: 20_000 };
  const parts = Array.from({ length: 99 }, (_, n): SentSpan[] => {
    const part: SentSpan = { traceId, id: id(1000 * (n + 1)), parent: root.id, name: `part ${n + 1}`, service: "task-worker", start: start + 200 * n, duration: 200 };
    const steps = Array.from({ length: 100 }, (__, m): SentSpan => ({
      ...{ traceId, id: id(1000 * (n + 1) + m + 1), parent: part.id, name: `step ${n + 1}.${m + 1}`, service: "task-api" },
      ...{ start: part.start + 2 * m, duration: 1.5 },
    }));
    return [part, ...steps];
  });
  return [root, ...parts.flat()];
}
export const LARGE = 1 + 99 * 101;
