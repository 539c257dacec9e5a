// Which series of a graph are shown, and in which order the legend lists them.
import type { Series, Summary } from "./series";

/** The keys of series that are shown; undefined shows all. */
export type Selection = ReadonlySet<string> | undefined;

export function isShown(selection: Selection, key: string): boolean {
  return selection?.has(key) ?? true;
}

/** Only this series; all again when it was the only one. */
export function isolated(selection: Selection, key: string): Selection {
  return selection?.size === 1 && selection.has(key) ? undefined : new Set([key]);
}

/** One more or one less; all again when none or all would be shown. */
export function toggled(selection: Selection, key: string, all: readonly Series[]): Selection {
  const shown = new Set(selection ?? all.map((series) => series.key));
  if (!shown.delete(key)) shown.add(key);
  const left = all.filter((series) => shown.has(series.key)).length;
  return left === 0 || left === all.length ? undefined : shown;
}

export type SortKey = "name" | keyof Summary;

export interface Sorting {
  by: SortKey;
  descending: boolean;
}

/** Values that are none come last in either direction. */
export function sorted(series: readonly Series[], sorting: Sorting | undefined): readonly Series[] {
  if (sorting === undefined) return series;
  const { by, descending } = sorting;
  const sign = descending ? -1 : 1;
  return [...series].sort((a, b) => {
    if (by === "name") return sign * a.name.localeCompare(b.name, "en", { numeric: true });
    const [x, y] = [a.summary[by], b.summary[by]];
    if (x === null || y === null) return Number(x === null) - Number(y === null);
    return sign * (x - y);
  });
}

/** A click on a column's head: numbers fall first, names rise first; the third click undoes. */
export function nextSorting(sorting: Sorting | undefined, by: SortKey): Sorting | undefined {
  const first = by !== "name";
  if (sorting?.by !== by) return { by, descending: first };
  return sorting.descending === first ? { by, descending: !first } : undefined;
}
