// The histogram's geometry: response buckets to stacked bars, and back from a
// drag to a time range.
import type { HistogramResponse } from "../../api/types";
import type { TimeRange } from "../../time/range";
import { serverTime } from "../../time/range";
import { LEVELS, levelNamed } from "../severity";

/** Records of one value of the field that is counted by. */
export interface Series {
  /** The value; `OTHER` and `WITHOUT` stand for many and for none. */
  value: string;
  name: string;
  total: number;
  /** A CSS colour. */
  fill: string;
}

export interface Bar {
  start: number;
  end: number;
  /** By a series' value. */
  counts: ReadonlyMap<string, number>;
  total: number;
}

export interface Bars {
  /** The field counted by; empty for none. */
  by: string;
  bars: Bar[];
  /** In the order they are stacked, from the baseline. */
  series: Series[];
  highest: number;
  total: number;
  partial: boolean;
  warnings: string[];
}

/** The values beyond those that have a colour; no value can be it. */
export const OTHER = "\u0000other";
/** Records without the field. */
export const WITHOUT = "";

const COLOURS = 8;
/** Those with a colour, and records without a value. */
export const GROUPS = COLOURS + 1;

export function toBars(response: HistogramResponse, by: string): Bars {
  const raw = new Map<string, number>();
  const others = response.buckets.reduce((sum, bucket) => sum + bucket.other, 0);
  for (const { counts } of response.buckets) {
    for (const [name, count] of Object.entries(counts)) {
      const value = by === "severity" ? levelNamed(name) : name;
      raw.set(value, (raw.get(value) ?? 0) + Number(count));
    }
  }
  const series = by === "severity" ? levelSeries(raw) : valueSeries(raw, others, by);
  const coloured = new Set(series.map(({ value }) => value));
  const bars = response.buckets.map((bucket): Bar => {
    const start = serverTime(bucket.start);
    const counts = new Map<string, number>();
    let total = 0;
    for (const [name, text] of Object.entries(bucket.counts)) {
      const value = by === "severity" ? levelNamed(name) : name;
      const key = coloured.has(value) ? value : OTHER;
      const count = Number(text);
      counts.set(key, (counts.get(key) ?? 0) + count);
      total += count;
    }
    counts.set(OTHER, (counts.get(OTHER) ?? 0) + bucket.other);
    total += bucket.other;
    return { start, end: start + response.step_ms, counts, total };
  });
  return {
    by,
    bars,
    series,
    highest: bars.reduce((most, bar) => Math.max(most, bar.total), 0),
    total: bars.reduce((sum, bar) => sum + bar.total, 0),
    partial: response.partial ?? false,
    warnings: response.warnings ?? [],
  };
}

/** The most severe at the bottom, where their heights compare best. */
function levelSeries(counts: Map<string, number>): Series[] {
  return LEVELS.filter((level) => (counts.get(level) ?? 0) > 0).map((level) => ({
    value: level,
    name: level,
    total: counts.get(level) ?? 0,
    fill: `var(--fill-${level})`,
  }));
}

/** The most frequent values, then all others together, then records without one. */
function valueSeries(counts: Map<string, number>, others: number, by: string): Series[] {
  const without = counts.get(WITHOUT) ?? 0;
  if (by === "") return [{ value: WITHOUT, name: "records", total: without, fill: "var(--accent-fill)" }];
  const values = [...counts].filter(([value]) => value !== WITHOUT).sort((a, b) => b[1] - a[1]);
  const series = values
    .slice(0, COLOURS)
    .map(([value, total], at) => ({ value, name: value, total, fill: `var(--series-${at + 1})` }));
  const rest = values.slice(COLOURS).reduce((sum, [, count]) => sum + count, others);
  if (rest > 0) series.push({ value: OTHER, name: "other values", total: rest, fill: "var(--fill-unset)" });
  if (without > 0) series.push({ value: WITHOUT, name: `without ${by}`, total: without, fill: "var(--line-strong)" });
  return series;
}

export interface Slice {
  series: Series;
  /** From the baseline, in pixels. */
  bottom: number;
  height: number;
}

/**
 * A bar's slices from the baseline. Whatever was counted is at least two pixels
 * high: one error among thousands of records stays visible.
 */
export function slices(bar: Bar, series: readonly Series[], highest: number, height: number): Slice[] {
  const found: Slice[] = [];
  let bottom = 0;
  for (const one of series) {
    const count = bar.counts.get(one.value) ?? 0;
    if (count === 0 || highest === 0) continue;
    const size = Math.max(2, (count / highest) * height);
    found.push({ series: one, bottom, height: size });
    bottom += size;
  }
  const excess = bottom / height;
  if (excess <= 1) return found;
  return found.map((s) => ({ ...s, bottom: s.bottom / excess, height: s.height / excess }));
}

/** The range of the buckets that a drag touches, inside the range shown. */
export function dragRange(a: number, b: number, step: number, origin: number, shown: TimeRange): TimeRange {
  const snap = (time: number, round: (x: number) => number) =>
    origin + round((time - origin) / step) * step;
  const start = Math.max(shown.start, snap(Math.min(a, b), Math.floor));
  const end = Math.min(shown.end, snap(Math.max(a, b), Math.ceil));
  return { start, end: Math.max(end, start + 1) };
}
