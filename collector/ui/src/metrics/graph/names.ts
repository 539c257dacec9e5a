// What series are called.
import type { Labels } from "../../api/prometheus";

/** As PromQL writes it: `http_requests_total{job="api"}`. */
export function seriesText(labels: Labels): string {
  const { __name__: name = "", ...rest } = labels;
  const pairs = Object.entries(rest).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  if (pairs.length === 0) return name === "" ? "{}" : name;
  return `${name}{${pairs.join(", ")}}`;
}

/** The labels that every series has, with the same value. */
export function commonLabels(series: readonly Labels[]): Labels {
  const [first, ...others] = series;
  const common = Object.entries(first ?? {}).filter(([label, value]) =>
    others.every((labels) => labels[label] === value),
  );
  return Object.fromEntries(common);
}

/**
 * A name for each series of one query: its legend with `{{label}}` filled in, else
 * what tells it from the others.
 */
export function seriesNames(series: readonly Labels[], legend: string, expression: string): string[] {
  if (legend !== "") return series.map((labels) => filled(legend, labels));
  const common = series.length > 1 ? commonLabels(series) : {};
  return series.map((labels) => {
    const own = Object.entries(labels).filter(([label]) => common[label] === undefined);
    const text = seriesText(Object.fromEntries(own));
    // A sum over everything has no labels: its expression tells more than {}.
    return text === "{}" && Object.keys(labels).length === 0 ? expression.trim() : text;
  });
}

function filled(legend: string, labels: Labels): string {
  return legend.replace(/\{\{\s*([^{}]+?)\s*\}\}/g, (_, label: string) => labels[label] ?? "");
}

/** The service behind a series, by the labels that name one. */
export function serviceOf(labels: Labels): string | undefined {
  const named = labels.service ?? labels.service_name ?? labels.sloth_service;
  if (named !== undefined) return named;
  // `job` is service.namespace/service.name.
  return labels.job?.split("/").at(-1);
}
