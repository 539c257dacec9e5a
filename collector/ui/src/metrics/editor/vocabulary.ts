// What the editor offers of this server: metrics, labels, values and what they mean.
import type { QueryClient } from "@tanstack/react-query";
import type { PrometheusClient } from "@prometheus-io/codemirror-promql/dist/esm/client/prometheus";
import { labelMatchersToString } from "@prometheus-io/codemirror-promql/dist/esm/parser";
import { labelNames, labelValues, metricMetadata, type Times } from "../../api/prometheus";
import { selector } from "./selector";

const FRESH_MS = 60_000;
/** More than a list can show, and few enough to send. */
export const MOST_NAMES = 10_000;

/** A failure is answered as nothing known: the query itself will say what is wrong. */
export function vocabulary(client: QueryClient, times: () => Times): PrometheusClient {
  const known = async <T>(what: readonly string[], nothing: T, ask: (times: Times, signal: AbortSignal) => Promise<T>) => {
    // Whole minutes, so that what was asked is not asked again at once.
    const during = wholeMinutes(times());
    try {
      return await client.query({
        queryKey: ["metrics", "vocabulary", ...what, during],
        queryFn: ({ signal }) => ask(during, signal),
        staleTime: FRESH_MS,
        retry: false,
      });
    } catch {
      return nothing;
    }
  };
  return {
    labelNames: (metric = "") => {
      const match = metric === "" ? "" : selector(metric);
      return known(["labels", match], [], (during, signal) => labelNames(match, during, signal));
    },
    labelValues: (label, metric = "", matchers = []) => {
      const text = metric === "" && matchers.length === 0 ? "" : labelMatchersToString(metric, matchers, label);
      const match = text === "{}" ? "" : text;
      return known(["values", label, match], [], (during, signal) => labelValues(label, match, during, MOST_NAMES, signal));
    },
    metricNames: () =>
      known(["names"], [], (during, signal) => labelValues("__name__", "", during, MOST_NAMES, signal)),
    metricMetadata: () => known(["metadata"], {}, (_, signal) => metricMetadata(signal)),
    // What only newer servers ask for: neither is offered here.
    series: () => Promise.resolve([]),
    flags: () => Promise.resolve({}),
  };
}

export function wholeMinutes({ start, end }: Times): Times {
  const minute = 60_000;
  return { start: Math.floor(start / minute) * minute, end: Math.ceil(end / minute) * minute };
}
