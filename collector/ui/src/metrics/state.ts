// The Metrics page's state, all of it in the URL. Defaults are left out, and an
// unknown value falls back to its default.
import { readRefresh } from "../app/refresh";
import { parseDuration } from "../time/duration";
import type { RangeText } from "../time/range";

/** What the lower part shows. */
export type MetricsMode = "graph" | "table" | "cardinality";

/** How series are drawn. */
export type Drawing = "lines" | "stacked" | "points";

export interface QueryText {
  expression: string;
  /** How its series are named, as in `{{job}} {{instance}}`; empty names all their labels. */
  legend: string;
  /** Whether it is run. */
  on: boolean;
}

export interface MetricsState {
  mode: MetricsMode;
  /** At least one. */
  queries: readonly QueryText[];
  range: RangeText;
  /** A duration, or empty for as many points as the graph has room for. */
  step: string;
  drawing: Drawing;
  /** Whether the value axis is logarithmic. */
  log: boolean;
  /** The unit of values, one of `UNITS`; empty to guess it. */
  unit: string;
  exemplars: boolean;
  /** The metric that the cardinality view opens; empty for none. */
  metric: string;
  /** Seconds between automatic refreshes; 0 is off. */
  refresh: number;
}

export const NO_QUERY: QueryText = { expression: "", legend: "", on: true };

/** So many queries make a page too long to read. */
export const MOST_QUERIES = 20;

const DEFAULT_RANGE: RangeText = { from: "now-1h", to: "now" };

export const DEFAULT_STATE: MetricsState = {
  mode: "graph",
  queries: [NO_QUERY],
  range: DEFAULT_RANGE,
  step: "",
  drawing: "lines",
  log: false,
  unit: "",
  exemplars: false,
  metric: "",
  refresh: 0,
};

const MODES: readonly string[] = ["table", "cardinality"] satisfies MetricsMode[];
const DRAWINGS: readonly string[] = ["stacked", "points"] satisfies Drawing[];

export function readState(search: string): MetricsState {
  const params = new URLSearchParams(search);
  const mode = params.get("view") ?? "";
  const drawing = params.get("draw") ?? "";
  const step = params.get("step") ?? "";
  return {
    mode: MODES.includes(mode) ? (mode as MetricsMode) : "graph",
    queries: readQueries(params),
    range: { from: params.get("from") ?? DEFAULT_RANGE.from, to: params.get("to") ?? DEFAULT_RANGE.to },
    step: (parseDuration(step) ?? 0) > 0 ? step : "",
    drawing: DRAWINGS.includes(drawing) ? (drawing as Drawing) : "lines",
    log: params.get("scale") === "log",
    unit: params.get("unit") ?? "",
    exemplars: params.get("exemplars") === "1",
    metric: params.get("metric") ?? "",
    refresh: readRefresh(params.get("refresh")),
  };
}

function readQueries(params: URLSearchParams): QueryText[] {
  const legends = params.getAll("legend");
  const off = (params.get("off") ?? "").split(",");
  const queries = params.getAll("q").slice(0, MOST_QUERIES).map((expression, at) => ({
    expression,
    legend: legends[at] ?? "",
    on: !off.includes(queryName(at)),
  }));
  return queries.length === 0 ? [NO_QUERY] : queries;
}

export function metricsUrl(state: MetricsState): string {
  const params = new URLSearchParams();
  const { queries } = state;
  const { from, to } = state.range;
  if (state.mode !== "graph") params.set("view", state.mode);
  if (queries.length > 1 || queries[0]?.expression !== "") {
    for (const { expression } of queries) params.append("q", expression);
  }
  if (queries.some(({ legend }) => legend !== "")) {
    for (const { legend } of queries) params.append("legend", legend);
  }
  const off = queries.flatMap(({ on }, at) => (on ? [] : [queryName(at)]));
  if (off.length > 0) params.set("off", off.join(","));
  if (from !== DEFAULT_RANGE.from || to !== DEFAULT_RANGE.to) {
    params.set("from", from);
    params.set("to", to);
  }
  if (state.step !== "") params.set("step", state.step);
  if (state.drawing !== "lines") params.set("draw", state.drawing);
  if (state.log) params.set("scale", "log");
  if (state.unit !== "") params.set("unit", state.unit);
  if (state.exemplars) params.set("exemplars", "1");
  if (state.metric !== "") params.set("metric", state.metric);
  if (state.refresh !== 0) params.set("refresh", String(state.refresh));
  const search = params.toString();
  return search === "" ? "/ui/metrics" : `/ui/metrics?${search}`;
}

/** The letter by which a query is spoken of: A for the first. */
export function queryName(at: number): string {
  return String.fromCharCode(65 + at);
}

/** The page's address with one expression. */
export function expressionUrl(expression: string, range: RangeText = DEFAULT_RANGE): string {
  return metricsUrl({ ...DEFAULT_STATE, queries: [{ ...NO_QUERY, expression }], range });
}
