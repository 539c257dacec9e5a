// The histogram's geometry: response buckets to stacked bars, and back from a
// drag to a time range.
import type { HistogramResponse } from "../api/types";
import type { TimeRange } from "../time/range";
import { serverTime } from "../time/range";
import { LEVELS, levelNamed, type Level } from "./severity";

export type Counts = Partial<Record<Level, number>>;

export interface Bar {
  start: number;
  end: number;
  counts: Counts;
  total: number;
}

export interface Bars {
  bars: Bar[];
  highest: number;
  total: number;
  totals: Counts;
  partial: boolean;
  warnings: string[];
}

export function toBars(response: HistogramResponse): Bars {
  const totals: Counts = {};
  const bars = response.buckets.map((bucket): Bar => {
    const start = serverTime(bucket.start);
    const counts: Counts = {};
    let total = 0;
    for (const [name, value] of Object.entries(bucket.counts)) {
      const level = levelNamed(name);
      const count = Number(value);
      counts[level] = (counts[level] ?? 0) + count;
      totals[level] = (totals[level] ?? 0) + count;
      total += count;
    }
    return { start, end: start + response.step_ms, counts, total };
  });
  return {
    bars,
    highest: bars.reduce((most, bar) => Math.max(most, bar.total), 0),
    total: bars.reduce((sum, bar) => sum + bar.total, 0),
    totals,
    partial: response.partial ?? false,
    warnings: response.warnings ?? [],
  };
}

export interface Slice {
  level: Level;
  /** From the baseline, in pixels. */
  bottom: number;
  height: number;
}

/**
 * A bar's slices, the most severe at the bottom, where their heights compare
 * best. Whatever was counted is at least two pixels high: one error among
 * thousands of records stays visible.
 */
export function slices(bar: Bar, highest: number, height: number): Slice[] {
  const found: Slice[] = [];
  let bottom = 0;
  for (const level of LEVELS) {
    const count = bar.counts[level] ?? 0;
    if (count === 0 || highest === 0) continue;
    const size = Math.max(2, (count / highest) * height);
    found.push({ level, bottom, height: size });
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
