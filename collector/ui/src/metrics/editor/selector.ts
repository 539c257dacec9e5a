// Writes series selectors, and the queries that a metric is usually looked at with.

export interface Matcher {
  label: string;
  value: string;
}

/** `metric{label="value"}`; a name that is no identifier is quoted inside the braces. */
export function selector(metric: string, matchers: readonly Matcher[] = []): string {
  const plain = /^[a-zA-Z_:][\w:]*$/.test(metric);
  const pairs = matchers.map(({ label, value }) => `${labelName(label)}=${JSON.stringify(value)}`);
  if (!plain) return `{${[JSON.stringify(metric), ...pairs].join(", ")}}`;
  return pairs.length === 0 ? metric : `${metric}{${pairs.join(", ")}}`;
}

/** A label as it may stand in braces and behind `by`. */
export function labelName(label: string): string {
  return /^[a-zA-Z_]\w*$/.test(label) ? label : JSON.stringify(label);
}

export interface Suggestion {
  name: string;
  expression: string;
}

/** `type` is the metadata's, or empty when there is none. */
export function suggestions(metric: string, type: string, matchers: readonly Matcher[] = []): Suggestion[] {
  const chosen = selector(metric, matchers);
  const rate = `rate(${chosen}[5m])`;
  if (metric.endsWith("_bucket")) {
    return [
      { name: "95th percentile", expression: `histogram_quantile(0.95, sum by (le) (${rate}))` },
      { name: "Median", expression: `histogram_quantile(0.5, sum by (le) (${rate}))` },
      { name: "Buckets", expression: `sum by (le) (${rate})` },
    ];
  }
  if (/_(sum|count)$/.test(metric) && type !== "gauge") {
    const base = metric.replace(/_(sum|count)$/, "");
    const sum = `sum(rate(${selector(`${base}_sum`, matchers)}[5m]))`;
    const count = `sum(rate(${selector(`${base}_count`, matchers)}[5m]))`;
    return [
      { name: "Rate", expression: rate },
      { name: "Average", expression: `${sum} / ${count}` },
    ];
  }
  if (type === "histogram" || type === "gaugehistogram") {
    return [
      { name: "95th percentile", expression: `histogram_quantile(0.95, sum(${rate}))` },
      { name: "Rate", expression: `histogram_count(sum(${rate}))` },
      { name: "Average", expression: `histogram_avg(sum(${rate}))` },
    ];
  }
  if (type === "counter" || metric.endsWith("_total")) {
    return [
      { name: "Rate", expression: rate },
      { name: "Sum of rates", expression: `sum(${rate})` },
      { name: "Increase in an hour", expression: `increase(${chosen}[1h])` },
    ];
  }
  return [
    { name: "As it is", expression: chosen },
    { name: "Sum", expression: `sum(${chosen})` },
    { name: "Highest", expression: `max(${chosen})` },
  ];
}
