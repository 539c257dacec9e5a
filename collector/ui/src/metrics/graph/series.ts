// From answers of range queries to the columns that a graph draws.
import type { Labels, QueryData } from "../../api/prometheus";
import { seriesNames } from "./names";
import { timesOf, type Grid } from "./step";
import type { Unit } from "./units";

export interface Series {
  /** Unique on the page and stable between refreshes. */
  key: string;
  /** Which query it comes from. */
  query: number;
  name: string;
  labels: Labels;
  /** Of its values. */
  unit: Unit;
  /** A CSS colour. */
  colour: string;
  /** One for each time; null where there is none. NaN and ±Inf are values too. */
  values: (number | null)[];
  summary: Summary;
}

/** Of the finite values; null when there are none. `last` is the last value of any kind. */
export interface Summary {
  min: number | null;
  max: number | null;
  mean: number | null;
  last: number | null;
}

export interface GraphData {
  /** Unix seconds. */
  times: number[];
  /** ms. */
  step: number;
  series: Series[];
  /** How many series there are, also those that are not drawn. */
  found: number;
  /** How many of them are native histograms, which a graph of lines cannot show. */
  histograms: number;
}

/** An answer with the query it belongs to. */
export interface Answered {
  query: number;
  expression: string;
  legend: string;
  unit: Unit;
  data: QueryData;
}

/** More lines than these nobody tells apart, and drawing them takes too long. */
export const MOST_SERIES = 300;

const TOKENS = 8;
const GOLDEN_ANGLE = 137.508;

/** The colours of the tokens first, then hues as far from their neighbours as can be. */
export function seriesColour(at: number): string {
  if (at < TOKENS) return `var(--series-${at + 1})`;
  const hue = Math.round((at * GOLDEN_ANGLE) % 360);
  return `light-dark(hsl(${hue} 60% 42%), hsl(${hue} 55% 64%))`;
}

/** The answers of range queries over these times. */
export function toGraph(grid: Grid, answers: readonly Answered[]): GraphData {
  const times = timesOf(grid);
  const all = answers.flatMap((answer) => columns(answer, grid, times.length));
  const lines = all.filter((one) => one !== undefined);
  const drawn = lines.length > MOST_SERIES ? highest(lines) : lines;
  return {
    times,
    step: grid.step,
    series: drawn.map((one, at) => ({ ...one, colour: seriesColour(at) })),
    found: all.length,
    histograms: all.length - lines.length,
  };
}

type Column = Omit<Series, "colour">;

/** One for each series; undefined for one of native histograms. */
function columns({ query, expression, legend, unit, data }: Answered, grid: Grid, count: number): (Column | undefined)[] {
  if (data.resultType !== "matrix") return [];
  const names = seriesNames(data.result.map(({ metric }) => metric), legend, expression);
  return data.result.map(({ metric, values }, at) => {
    if (values === undefined) return undefined;
    const column = new Array<number | null>(count).fill(null);
    for (const [time, text] of values) {
      const place = Math.round((time * 1000 - grid.start) / grid.step);
      if (place >= 0 && place < count) column[place] = readValue(text);
    }
    const key = `${query} ${JSON.stringify(metric)}`;
    return { key, query, name: names[at] ?? "", labels: metric, unit, values: column, summary: summarize(column) };
  });
}

/** Reads what Prometheus writes for a number. */
export function readValue(text: string): number {
  if (text === "+Inf" || text === "Inf") return Infinity;
  return text === "-Inf" ? -Infinity : Number(text);
}

export function summarize(values: readonly (number | null)[]): Summary {
  let min = Infinity;
  let max = -Infinity;
  let sum = 0;
  let count = 0;
  let last: number | null = null;
  for (const value of values) {
    if (value === null) continue;
    last = value;
    if (!Number.isFinite(value)) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    count += 1;
  }
  if (count === 0) return { min: null, max: null, mean: null, last };
  return { min, max, mean: sum / count, last };
}

function highest(lines: readonly Column[]): Column[] {
  const rank = (one: Column) => one.summary.max ?? -Infinity;
  const floor = [...lines].sort((a, b) => rank(b) - rank(a)).slice(0, MOST_SERIES);
  const kept = new Set(floor);
  return lines.filter((one) => kept.has(one));
}
