// What labels a metric has, and how its series spread over their values.
import type { Labels } from "../../api/prometheus";
import { readValue } from "../graph/series";

export interface LabelStats {
  label: string;
  /** The values with how many series have them, the most frequent first. */
  values: { value: string; series: number }[];
  /** Series without the label. */
  without: number;
}

/** The labels of these series, the one with the most values first; not the metric's name. */
export function labelStats(series: readonly Labels[]): LabelStats[] {
  const counts = new Map<string, Map<string, number>>();
  for (const labels of series) {
    for (const [label, value] of Object.entries(labels)) {
      if (label === "__name__") continue;
      const values = counts.get(label) ?? new Map<string, number>();
      counts.set(label, values.set(value, (values.get(value) ?? 0) + 1));
    }
  }
  return [...counts]
    .map(([label, values]) => {
      const list = [...values].map(([value, count]) => ({ value, series: count }));
      list.sort((a, b) => b.series - a.series || compareValues(a.value, b.value));
      return { label, values: list, without: series.length - list.reduce((sum, one) => sum + one.series, 0) };
    })
    .sort((a, b) => b.values.length - a.values.length || a.label.localeCompare(b.label));
}

/** Numbers, such as borders of buckets, by size; other texts by their letters. */
function compareValues(a: string, b: string): number {
  const by = readValue(a) - readValue(b);
  return by || a.localeCompare(b, "en", { numeric: true });
}

/** The metadata of a metric by its name or its family's: `x_bucket` is of `x`. */
export function metadataOf<T>(metadata: Readonly<Record<string, T[]>>, metric: string): T | undefined {
  const family = metric.replace(/_(bucket|count|sum|total|created)$/, "");
  return (metadata[metric] ?? metadata[family] ?? metadata[`${family}_total`])?.[0];
}

/** Names that have all the words, those that begin with the first of them before others. */
export function matchingNames(names: readonly string[], text: string, helpOf: (name: string) => string): string[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const [first = ""] = words;
  if (words.length === 0) return [...names];
  const found = names.filter((name) => {
    const all = `${name} ${helpOf(name)}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
  const rank = (name: string) => {
    const at = name.toLowerCase().indexOf(first);
    return at === 0 ? 0 : at > 0 ? 1 : 2;
  };
  return found.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}
