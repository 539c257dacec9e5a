// Answers at one instant as rows of a table: a column for each label, and the value.
import type { HistogramPoint, Labels, MatrixSeries, Point, QueryData, VectorSample } from "../../api/prometheus";
import { readValue } from "../graph/series";

export interface TableRow {
  key: string;
  /** Which query it comes from. */
  query: number;
  labels: Labels;
  cell: Cell;
}

export type Cell =
  | { kind: "number"; text: string }
  | { kind: "text"; text: string }
  | { kind: "histogram"; histogram: HistogramPoint[1] }
  /** The points of a range, oldest first. */
  | { kind: "points"; points: readonly Point[]; histograms: readonly HistogramPoint[] };

export function rowsOf(query: number, data: QueryData): TableRow[] {
  const row = (labels: Labels, cell: Cell): TableRow => ({ key: `${query} ${JSON.stringify(labels)}`, query, labels, cell });
  switch (data.resultType) {
    case "scalar":
      return [row({}, { kind: "number", text: data.result[1] })];
    case "string":
      return [row({}, { kind: "text", text: data.result[1] })];
    case "vector":
      return data.result.map((sample) => row(sample.metric, vectorCell(sample)));
    case "matrix":
      return data.result.map((series) => row(series.metric, matrixCell(series)));
  }
}

function vectorCell({ value, histogram }: VectorSample): Cell {
  if (histogram !== undefined) return { kind: "histogram", histogram: histogram[1] };
  return { kind: "number", text: value?.[1] ?? "" };
}

function matrixCell({ values = [], histograms = [] }: MatrixSeries): Cell {
  return { kind: "points", points: values, histograms };
}

/** The labels that any row has: the metric's name first, then by name. */
export function columnsOf(rows: readonly TableRow[]): string[] {
  const labels = new Set(rows.flatMap((row) => Object.keys(row.labels)));
  const named = labels.delete("__name__");
  return [...(named ? ["__name__"] : []), ...[...labels].sort()];
}

export interface TableSorting {
  /** A label, or `VALUE`. */
  by: string;
  descending: boolean;
}

/** No label has this name. */
export const VALUE = "\u0000value";

export function sortedRows(rows: readonly TableRow[], sorting: TableSorting | undefined): readonly TableRow[] {
  if (sorting === undefined) return rows;
  const { by, descending } = sorting;
  const sign = descending ? -1 : 1;
  const compare = by === VALUE ? compareValues : labelComparison(by);
  return [...rows].sort((a, b) => sign * compare(a, b));
}

function labelComparison(by: string) {
  return (a: TableRow, b: TableRow) => (a.labels[by] ?? "").localeCompare(b.labels[by] ?? "", "en", { numeric: true });
}

function compareValues(a: TableRow, b: TableRow): number {
  const [x, y] = [valueOf(a.cell), valueOf(b.cell)];
  // NaN is below everything.
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(y)) - Number(Number.isNaN(x));
  return x === y ? 0 : x < y ? -1 : 1;
}

/** What a cell is sorted by: a histogram by its count, points by the last of them. */
function valueOf(cell: Cell): number {
  switch (cell.kind) {
    case "number":
      return readValue(cell.text);
    case "text":
      return Number.NaN;
    case "histogram":
      return readValue(cell.histogram.count);
    case "points":
      return readValue(cell.points.at(-1)?.[1] ?? "NaN");
  }
}

/** A click on a column's head: values fall first, labels rise first; the third click undoes. */
export function nextTableSorting(sorting: TableSorting | undefined, by: string): TableSorting | undefined {
  const first = by === VALUE;
  if (sorting?.by !== by) return { by, descending: first };
  return sorting.descending === first ? { by, descending: !first } : undefined;
}

/** The rows in RFC 4180's form, with a head line. */
export function csv(rows: readonly TableRow[], columns: readonly string[]): string {
  const lines = rows.map(({ labels, cell }) => [...columns.map((column) => labels[column] ?? ""), cellText(cell)]);
  return [[...columns, "value"], ...lines].map((line) => line.map(quoted).join(",")).join("\r\n");
}

function cellText(cell: Cell): string {
  switch (cell.kind) {
    case "number":
    case "text":
      return cell.text;
    case "histogram":
      return JSON.stringify(cell.histogram);
    case "points":
      return [...cell.points, ...cell.histograms.map(([time, histogram]) => [time, JSON.stringify(histogram)] as const)]
        .map(([time, text]) => `${text} @${time}`)
        .join("\n");
  }
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A bucket's borders as intervals are written: `(0.1, 0.5]`. */
export function bucketText([borders, low, high]: readonly [number, string, string, ...unknown[]]): string {
  const open = borders === 1 || borders === 3 ? "[" : "(";
  const close = borders === 0 || borders === 3 ? "]" : ")";
  return `${open}${low}, ${high}${close}`;
}
