// The answer of the cardinality endpoint as lists for reading.
import type { Cardinality, HeadStats, NamedCount } from "../../api/prometheus";
import { labelName, selector } from "../editor/selector";

export interface CountList {
  key: string;
  title: string;
  rows: NamedCount[];
  unit: "none" | "bytes";
  /** What a row's name is: a metric, a label, a pair `label=value`. */
  of: "metric" | "label" | "pair";
}

const TITLES: Record<string, string> = {
  seriesCountByMetricName: "Metrics with the most series",
  newSeriesCountByMetricName: "Metrics with the most new series",
  labelValueCountByLabelName: "Labels with the most values",
  newLabelValueCountByLabelName: "Labels with the most new values",
  seriesCountByLabelValuePair: "Pairs of label and value in the most series",
  newSeriesCountByLabelValuePair: "Pairs of label and value in the most new series",
  memoryInBytesByLabelName: "Labels whose names and values take the most room",
};

/** Known lists in the order above, then others that the server has, the largest rows first. */
export function countLists(answer: Cardinality): CountList[] {
  const known = Object.keys(TITLES);
  const others = Object.keys(answer).filter((key) => !known.includes(key));
  return [...known, ...others].flatMap((key) => {
    const rows = answer[key];
    const counted = isCounts(rows) ? rows.filter(({ value }) => value > 0) : [];
    if (counted.length === 0) return [];
    const sorted = counted.sort((a, b) => b.value - a.value);
    return [{ key, title: TITLES[key] ?? titleOf(key), rows: sorted, unit: /bytes/i.test(key) ? "bytes" : "none", of: kindOf(key) }];
  });
}

function isCounts(value: unknown): value is NamedCount[] {
  if (!Array.isArray(value)) return false;
  return value.every((row: Partial<NamedCount> | null) => typeof row?.name === "string" && typeof row.value === "number");
}

function kindOf(key: string): CountList["of"] {
  if (/pair/i.test(key)) return "pair";
  return /metric/i.test(key) ? "metric" : "label";
}

/** `seriesAddedByLabelName` → `Series added by label name`. */
function titleOf(key: string): string {
  const words = key.replace(/([A-Z])/g, " $1").toLowerCase().trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A metric's share of all series, or in the list of new ones of the new: `8.5 %`. */
export function shareOf({ key, of }: CountList, value: number, stats: HeadStats | undefined): string {
  const total = key.startsWith("new") ? stats?.numNewSeries : stats?.numSeries;
  if (of !== "metric" || !total) return "";
  const percent = (100 * value) / total;
  return percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`;
}

/** A query that shows how a row's series grew, or what has them. */
export function queryFor({ of }: CountList, name: string): string {
  if (of === "metric") return `count(${selector(name)})`;
  if (of === "label") return `topk(20, count by (${labelName(name)}) ({${labelName(name)}!=""}))`;
  const [label = "", ...value] = name.split("=");
  return `topk(20, count by (__name__) ({${labelName(label)}=${JSON.stringify(value.join("="))}}))`;
}
