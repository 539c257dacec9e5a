// The Logs page's state, all of it in the URL. Defaults are left out, and an
// unknown value falls back to its default.
import type { Order } from "../api/types";
import { DEFAULT_RANGE, type RangeText } from "../time/range";

export interface LogsState {
  query: string;
  range: RangeText;
  order: Order;
  /** The record shown in the drawer. */
  record: string | undefined;
  /** Whether long messages wrap. */
  wrap: boolean;
  /** Whether the histogram is shown. */
  histogram: boolean;
  /** Seconds between automatic refreshes; 0 is off. */
  refresh: number;
}

export const REFRESH_CHOICES = [0, 5, 10, 30, 60] as const;

export const DEFAULT_STATE: LogsState = {
  query: "",
  range: DEFAULT_RANGE,
  order: "newest",
  record: undefined,
  wrap: false,
  histogram: true,
  refresh: 0,
};

export function readState(search: string): LogsState {
  const params = new URLSearchParams(search);
  const refresh = Number(params.get("refresh") ?? "0");
  return {
    query: params.get("q") ?? "",
    range: {
      from: params.get("from") ?? DEFAULT_RANGE.from,
      to: params.get("to") ?? DEFAULT_RANGE.to,
    },
    order: params.get("order") === "oldest" ? "oldest" : "newest",
    record: params.get("record") ?? undefined,
    wrap: params.get("wrap") === "1",
    histogram: params.get("histogram") !== "0",
    refresh: REFRESH_CHOICES.find((choice) => choice === refresh) ?? 0,
  };
}

export function logsUrl(state: LogsState): string {
  const params = new URLSearchParams();
  if (state.query !== "") params.set("q", state.query);
  const { from, to } = state.range;
  if (from !== DEFAULT_RANGE.from || to !== DEFAULT_RANGE.to) {
    params.set("from", from);
    params.set("to", to);
  }
  if (state.order !== "newest") params.set("order", state.order);
  if (state.record !== undefined) params.set("record", state.record);
  if (state.wrap) params.set("wrap", "1");
  if (!state.histogram) params.set("histogram", "0");
  if (state.refresh !== 0) params.set("refresh", String(state.refresh));
  const search = params.toString();
  return search === "" ? "/ui/logs" : `/ui/logs?${search}`;
}
