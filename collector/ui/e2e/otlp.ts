// Sends telemetry as an application would: OTLP over HTTP, in JSON.

export interface SentLog {
  /** Unix ms. */
  time: number;
  severity: number;
  body: string;
  service: string;
  attributes?: Record<string, string | number | boolean | number[]>;
  traceId?: string;
  /** With a trace; `SPAN_ID` when left out. */
  spanId?: string;
}

/** The span of whatever is sent without naming one. */
export const SPAN_ID = "00f067aa0ba902b7";

type AnyValue = Record<string, unknown>;

function anyValue(value: string | number | boolean | number[]): AnyValue {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

function keyValues(map: SentLog["attributes"]): AnyValue[] {
  return Object.entries(map ?? {}).map(([key, value]) => ({ key, value: anyValue(value) }));
}

const LEVELS: Record<number, string> = { 5: "DEBUG", 9: "INFO", 13: "WARN", 17: "ERROR" };

function resource(service: string): AnyValue {
  return { attributes: keyValues({ "service.name": service, "host.name": "test-host" }) };
}

export async function sendLogs(otlp: string, logs: SentLog[]): Promise<void> {
  const services = [...new Set(logs.map((log) => log.service))];
  const resourceLogs = services.map((service) => ({
    resource: resource(service),
    scopeLogs: [
      {
        scope: { name: "task_api::http", version: "1.2.3" },
        logRecords: logs
          .filter((log) => log.service === service)
          .map((log) => ({
            timeUnixNano: `${log.time}123456`,
            observedTimeUnixNano: `${log.time + 1}000000`,
            severityNumber: log.severity,
            severityText: LEVELS[log.severity],
            body: { stringValue: log.body },
            attributes: keyValues(log.attributes),
            ...(log.traceId === undefined ? {} : { traceId: log.traceId, spanId: log.spanId ?? SPAN_ID }),
          })),
      },
    ],
  }));
  await send(otlp, "logs", { resourceLogs });
}

export async function sendGauge(otlp: string, name: string, value: number): Promise<void> {
  const point = { timeUnixNano: `${Date.now()}000000`, asDouble: value };
  const metrics = [{ name, gauge: { dataPoints: [point] } }];
  const resourceMetrics = [{ resource: resource("task-api"), scopeMetrics: [{ metrics }] }];
  await send(otlp, "metrics", { resourceMetrics });
}

interface Point {
  /** Unix ms; where a sum or histogram began to count. */
  start: number;
  /** Unix ms. */
  time: number;
  attributes?: Record<string, string>;
}

/** One metric with its points; one of the kinds is given. Sums and histograms are cumulative. */
export interface SentMetric {
  name: string;
  description: string;
  /** UCUM. */
  unit: string;
  gauge?: (Point & { value: number })[];
  sum?: (Point & { value: number })[];
  histogram?: (Point & { counts: number[]; sum: number; exemplar?: { time: number; value: number; traceId: string } })[];
  /** Of the histogram's buckets. */
  borders?: number[];
  /** Counts of the buckets of scale 0 from 1 upwards. */
  exponential?: (Point & { counts: number[]; sum: number })[];
}

const CUMULATIVE = 2;

export async function sendMetrics(otlp: string, service: string, metrics: SentMetric[]): Promise<void> {
  const scopeMetrics = [{ metrics: metrics.map(metricJson) }];
  await send(otlp, "metrics", { resourceMetrics: [{ resource: resource(service), scopeMetrics }] });
}

function metricJson({ name, description, unit, gauge, sum, histogram, exponential, borders }: SentMetric): AnyValue {
  const about = { name, description, unit };
  if (gauge !== undefined) return { ...about, gauge: { dataPoints: gauge.map(numberPoint) } };
  if (sum !== undefined) {
    const dataPoints = sum.map(numberPoint);
    return { ...about, sum: { aggregationTemporality: CUMULATIVE, isMonotonic: true, dataPoints } };
  }
  if (exponential !== undefined) {
    const dataPoints = exponential.map(({ counts, ...point }) => ({
      ...countedPoint(point, counts),
      scale: 0,
      zeroCount: "0",
      positive: { offset: 0, bucketCounts: counts.map(String) },
    }));
    return { ...about, exponentialHistogram: { aggregationTemporality: CUMULATIVE, dataPoints } };
  }
  const dataPoints = (histogram ?? []).map(({ counts, exemplar, ...point }) => ({
    ...countedPoint(point, counts),
    explicitBounds: borders,
    bucketCounts: counts.map(String),
    ...(exemplar === undefined ? {} : { exemplars: [exemplarJson(exemplar)] }),
  }));
  return { ...about, histogram: { aggregationTemporality: CUMULATIVE, dataPoints } };
}

function pointJson({ start, time, attributes }: Point): AnyValue {
  return { startTimeUnixNano: `${start}000000`, timeUnixNano: `${time}000000`, attributes: keyValues(attributes) };
}

function numberPoint({ value, ...point }: Point & { value: number }): AnyValue {
  return { ...pointJson(point), asDouble: value };
}

function countedPoint({ sum, ...point }: Point & { sum: number }, counts: number[]): AnyValue {
  return { ...pointJson(point), count: String(counts.reduce((all, count) => all + count, 0)), sum };
}

function exemplarJson({ time, value, traceId }: { time: number; value: number; traceId: string }): AnyValue {
  return { timeUnixNano: `${time}000000`, asDouble: value, traceId, spanId: SPAN_ID };
}

type Attributes = SentLog["attributes"];

export interface SentSpan {
  traceId: string;
  /** 16 hex digits. */
  id: string;
  parent?: string;
  name: string;
  service: string;
  /** OTLP's number; internal when left out. */
  kind?: number;
  /** Unix ms. */
  start: number;
  /** ms, also fractions. */
  duration: number;
  /** Why it failed; it did not when left out. */
  error?: string;
  attributes?: Attributes;
  events?: { time: number; name: string; attributes?: Attributes }[];
  links?: { traceId: string; spanId: string; attributes?: Attributes }[];
}

const INTERNAL = 1;
const FAILED = 2;

export async function sendSpans(otlp: string, spans: SentSpan[]): Promise<void> {
  const resourceSpans = [...new Set(spans.map((span) => span.service))].map((service) => ({
    resource: resource(service),
    scopeSpans: [
      {
        scope: { name: "task_api::http", version: "1.2.3" },
        spans: spans.filter((span) => span.service === service).map(spanJson),
      },
    ],
  }));
  await send(otlp, "traces", { resourceSpans });
}

function spanJson({ id, parent, kind, start, duration, error, ...span }: SentSpan): AnyValue {
  const { traceId, name, attributes, events = [], links = [] } = span;
  return {
    traceId,
    spanId: id,
    parentSpanId: parent ?? "",
    name,
    kind: kind ?? INTERNAL,
    startTimeUnixNano: `${start}000000`,
    endTimeUnixNano: String(BigInt(start) * 1_000_000n + BigInt(Math.round(duration * 1e6))),
    attributes: keyValues(attributes),
    ...(error === undefined ? {} : { status: { code: FAILED, message: error } }),
    events: events.map((event) => ({ timeUnixNano: `${event.time}000000`, name: event.name, attributes: keyValues(event.attributes) })),
    links: links.map((link) => ({ traceId: link.traceId, spanId: link.spanId, attributes: keyValues(link.attributes) })),
  };
}

async function send(otlp: string, signal: string, body: unknown): Promise<void> {
  const response = await fetch(`http://${otlp}/v1/${signal}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`OTLP ${signal}: ${response.status} ${answer}`);
  const rejected = (JSON.parse(answer) as { partialSuccess?: object }).partialSuccess;
  if (rejected !== undefined && Object.keys(rejected).length > 0) {
    throw new Error(`OTLP ${signal}: ${answer}`);
  }
}
