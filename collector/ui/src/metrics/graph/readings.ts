// What a graph tells about one time: every series' value there, the highest first.
import type { Series } from "./series";

export interface Reading {
  series: Series;
  value: number;
}

/** The values at a time's index, the highest first; NaN comes last. */
export function readings(series: readonly Series[], at: number): Reading[] {
  return series
    .flatMap((one) => {
      const value = one.values[at];
      return value === null || value === undefined ? [] : [{ series: one, value }];
    })
    .sort((a, b) => rank(b.value) - rank(a.value) || a.series.name.localeCompare(b.series.name));
}

function rank(value: number): number {
  if (Number.isNaN(value)) return -Number.MAX_VALUE;
  return Math.min(Number.MAX_VALUE, Math.max(-Number.MAX_VALUE, value));
}

/** At most `most` of them, always with the one that is pointed at. */
export function shownReadings(all: readonly Reading[], most: number, pointedAt: string | undefined): Reading[] {
  const first = all.slice(0, most);
  const pointed = all.findIndex(({ series }) => series.key === pointedAt);
  const reading = all[pointed];
  if (reading === undefined || pointed < most) return first;
  return [...first.slice(0, most - 1), reading];
}

/** Running sums over the series that are shown, for areas on top of each other. */
export function stack(series: readonly Series[], count: number): (number | null)[][] {
  const sum = new Array<number>(count).fill(0);
  return series.map(({ values }) =>
    values.map((value, at) => {
      if (value === null || !Number.isFinite(value)) return null;
      sum[at] = (sum[at] ?? 0) + value;
      return sum[at];
    }),
  );
}
