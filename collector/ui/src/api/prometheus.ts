// Prometheus' query API: its JSON forms, and how it is called.
import { get, postForm } from "./client";

export type Labels = Record<string, string>;

/** Unix seconds, and the value as Go writes it: `1.5`, `NaN`, `+Inf`. */
export type Point = [time: number, value: string];

/** Which borders belong to a bucket: 0 `(]`, 1 `[)`, 2 `()`, 3 `[]`. */
export type HistogramBucket = [borders: number, low: string, high: string, count: string];

export interface NativeHistogram {
  count: string;
  sum: string;
  buckets?: HistogramBucket[];
}

export type HistogramPoint = [time: number, histogram: NativeHistogram];

export interface MatrixSeries {
  metric: Labels;
  values?: Point[];
  histograms?: HistogramPoint[];
}

export interface VectorSample {
  metric: Labels;
  value?: Point;
  histogram?: HistogramPoint;
}

export type QueryData =
  | { resultType: "matrix"; result: MatrixSeries[] }
  | { resultType: "vector"; result: VectorSample[] }
  | { resultType: "scalar"; result: Point }
  | { resultType: "string"; result: Point };

/** What the server remarks on an answer, a sentence each. */
export interface Remarks {
  warnings?: string[];
  infos?: string[];
}

export interface Answer<T> extends Remarks {
  status: "success";
  data: T;
}

/** Unix ms; both ends belong to it. */
export interface Times {
  start: number;
  end: number;
}

const ROOT = "/api/v1";

export function queryInstant(query: string, at: number, signal: AbortSignal): Promise<Answer<QueryData>> {
  return postForm(`${ROOT}/query`, new URLSearchParams({ query, time: seconds(at) }), signal);
}

/** `step` in ms. */
export function queryRange(query: string, times: Times, step: number, signal: AbortSignal): Promise<Answer<QueryData>> {
  const form = new URLSearchParams({ query, ...window(times), step: seconds(step) });
  return postForm(`${ROOT}/query_range`, form, signal);
}

export interface ExemplarSeries {
  seriesLabels: Labels;
  exemplars: {
    labels: Labels;
    value: string;
    /** Unix seconds. */
    timestamp: number;
  }[];
}

/** The exemplars of every series that the query's selectors match. */
export function queryExemplars(query: string, times: Times, signal: AbortSignal): Promise<Answer<ExemplarSeries[]>> {
  return postForm(`${ROOT}/query_exemplars`, new URLSearchParams({ query, ...window(times) }), signal);
}

/** Label sets that a selector matches, at most `limit`; a warning says when there are more. */
export function listSeries(match: string, times: Times, limit: number, signal: AbortSignal): Promise<Answer<Labels[]>> {
  const form = new URLSearchParams({ "match[]": match, ...window(times), limit: String(limit) });
  return postForm(`${ROOT}/series`, form, signal);
}

/** Names of the labels there are, or of those that a selector's series have. */
export async function labelNames(match: string, times: Times, signal: AbortSignal): Promise<string[]> {
  const answer = await postForm<Answer<string[]>>(`${ROOT}/labels`, scope(match, times), signal);
  return answer.data;
}

/** A label's values, at most `limit`, among all series or those that a selector matches. */
export async function labelValues(
  label: string,
  match: string,
  times: Times,
  limit: number,
  signal: AbortSignal,
): Promise<string[]> {
  const params = scope(match, times);
  params.set("limit", String(limit));
  const path = `${ROOT}/label/${escapedName(label)}/values?${params.toString()}`;
  return (await get<Answer<string[]>>(path, signal)).data;
}

export interface Metadata {
  type: string;
  help: string;
  unit: string;
}

/** By metric family. */
export async function metricMetadata(signal: AbortSignal): Promise<Record<string, Metadata[]>> {
  return (await get<Answer<Record<string, Metadata[]>>>(`${ROOT}/metadata`, signal)).data;
}

/** The query, laid out. */
export async function formatQuery(query: string, signal: AbortSignal): Promise<string> {
  return (await postForm<Answer<string>>(`${ROOT}/format_query`, new URLSearchParams({ query }), signal)).data;
}

export interface NamedCount {
  name: string;
  value: number;
}

export interface HeadStats {
  numSeries: number;
  /** Those that began in the second half of the range. */
  numNewSeries?: number;
  numLabelPairs?: number;
  chunkCount?: number;
  /** Unix ms. */
  minTime?: number;
  maxTime?: number;
}

/** Beside `headStats` there are lists of the largest, each under its own key. */
export type Cardinality = { headStats?: HeadStats } & Record<string, unknown>;

/** Of the series written during these times; Prometheus itself counts those of its head. */
export async function cardinality(times: Times, limit: number, signal: AbortSignal): Promise<Cardinality> {
  const params = new URLSearchParams({ ...window(times), limit: String(limit) });
  return (await get<Answer<Cardinality>>(`${ROOT}/status/tsdb?${params.toString()}`, signal)).data;
}

function seconds(ms: number): string {
  return String(ms / 1000);
}

function window({ start, end }: Times): { start: string; end: string } {
  return { start: seconds(start), end: seconds(end) };
}

function scope(match: string, times: Times): URLSearchParams {
  const params = new URLSearchParams(window(times));
  if (match !== "") params.set("match[]", match);
  return params;
}

/** A label's name in a path: beyond letters, digits and `_` it is escaped as `U__…`. */
export function escapedName(name: string): string {
  if (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) && !name.startsWith("U__")) return name;
  const escaped = Array.from(name, (character) => {
    if (character === "_") return "__";
    if (/[a-zA-Z0-9]/.test(character)) return character;
    return `_${(character.codePointAt(0) ?? 0).toString(16)}_`;
  });
  return `U__${escaped.join("")}`;
}
