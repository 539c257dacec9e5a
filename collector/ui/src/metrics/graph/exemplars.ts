// Exemplars: single measurements behind a metric that name the trace they come from.
import type { ExemplarSeries, Labels } from "../../api/prometheus";
import { seriesText } from "./names";
import { readValue } from "./series";
import { guessUnit, type Unit } from "./units";

export interface Exemplar {
  key: string;
  /** Unix ms. */
  time: number;
  value: number;
  /** Of the value. */
  unit: Unit;
  /** Undefined when its labels name no trace. */
  trace: string | undefined;
  /** The span of the trace that was measured, if it is named. */
  span: string | undefined;
  /** Its own labels, then those of its series, for reading. */
  text: string;
}

/** As many as can still be told apart on a graph. */
export const MOST_EXEMPLARS = 200;

const TRACE_LABELS = ["trace_id", "traceID", "traceId", "trace.id", "TraceID"];
const SPAN_LABELS = ["span_id", "spanID", "spanId", "span.id", "SpanID"];

/** Those with a number, the highest of them when there are too many, by time. */
export function toExemplars(answers: readonly ExemplarSeries[]): { shown: Exemplar[]; found: number } {
  const all = answers.flatMap(({ seriesLabels, exemplars }) =>
    exemplars.map((exemplar) => one(seriesLabels, exemplar)).filter(({ value }) => Number.isFinite(value)),
  );
  const unique = [...new Map(all.map((exemplar) => [exemplar.key, exemplar])).values()];
  const shown = unique.sort((a, b) => b.value - a.value).slice(0, MOST_EXEMPLARS);
  return { shown: shown.sort((a, b) => a.time - b.time), found: unique.length };
}

function one(series: Labels, { labels, value, timestamp }: ExemplarSeries["exemplars"][number]): Exemplar {
  const idIn = (names: readonly string[]) => names.map((name) => labels[name]).find((id) => id !== undefined && id !== "");
  const trace = idIn(TRACE_LABELS);
  const own = Object.entries(labels).map(([name, text]) => `${name}: ${text}`);
  return {
    key: `${timestamp} ${value} ${JSON.stringify(labels)} ${trace ?? JSON.stringify(series)}`,
    time: timestamp * 1000,
    value: readValue(value),
    unit: guessUnit(series.__name__ ?? ""),
    trace,
    span: idIn(SPAN_LABELS),
    text: [...own, seriesText(series)].join("\n"),
  };
}
