// The Logs page's state, all of it in the URL. Defaults are left out, and an
// unknown value falls back to its default.
import type { Order } from "../api/types";
import { readRefresh } from "../app/refresh";
import { DEFAULT_RANGE, type RangeText } from "../time/range";
import { columnsText, DEFAULT_COLUMNS, readColumns, type Column } from "./table/columns";

/** What the lower part shows: the records found, their patterns, or records as they arrive. */
export type LogsMode = "records" | "patterns" | "live";

/** What the drawer shows of a record. */
export type RecordTab = "fields" | "context" | "json";

export interface LogsState {
  mode: LogsMode;
  query: string;
  range: RangeText;
  order: Order;
  /** The record shown in the drawer. */
  record: string | undefined;
  tab: RecordTab;
  columns: readonly Column[];
  /** Whether long messages wrap. */
  wrap: boolean;
  /** Whether rows are further apart. */
  roomy: boolean;
  /** Whether the histogram is shown. */
  histogram: boolean;
  /** The field the histogram counts by; empty for none. */
  by: string;
  /** What patterns are compared with, as `baseline` reads it; empty for nothing. */
  compare: string;
  /** Seconds between automatic refreshes; 0 is off. */
  refresh: number;
}

export const DEFAULT_STATE: LogsState = {
  mode: "records",
  query: "",
  range: DEFAULT_RANGE,
  order: "newest",
  record: undefined,
  tab: "fields",
  columns: DEFAULT_COLUMNS,
  wrap: false,
  roomy: false,
  histogram: true,
  by: "severity",
  compare: "",
  refresh: 0,
};

const MODES: readonly string[] = ["patterns", "live"] satisfies LogsMode[];
const TABS: readonly string[] = ["context", "json"] satisfies RecordTab[];

export function readState(search: string): LogsState {
  const params = new URLSearchParams(search);
  const mode = params.get("view") ?? "";
  const tab = params.get("tab") ?? "";
  return {
    mode: MODES.includes(mode) ? (mode as LogsMode) : "records",
    query: params.get("q") ?? "",
    range: {
      from: params.get("from") ?? DEFAULT_RANGE.from,
      to: params.get("to") ?? DEFAULT_RANGE.to,
    },
    order: params.get("order") === "oldest" ? "oldest" : "newest",
    record: params.get("record") ?? undefined,
    tab: TABS.includes(tab) ? (tab as RecordTab) : "fields",
    columns: readColumns(params.get("columns") ?? ""),
    wrap: params.get("wrap") === "1",
    roomy: params.get("density") === "roomy",
    histogram: params.get("histogram") !== "0",
    by: params.get("by") ?? DEFAULT_STATE.by,
    compare: params.get("compare") ?? "",
    refresh: readRefresh(params.get("refresh")),
  };
}

export function logsUrl(state: LogsState): string {
  const params = new URLSearchParams();
  const columns = columnsText(state.columns);
  const { from, to } = state.range;
  if (state.mode !== "records") params.set("view", state.mode);
  if (state.query !== "") params.set("q", state.query);
  if (from !== DEFAULT_RANGE.from || to !== DEFAULT_RANGE.to) {
    params.set("from", from);
    params.set("to", to);
  }
  if (state.order !== "newest") params.set("order", state.order);
  if (state.record !== undefined) params.set("record", state.record);
  if (state.record !== undefined && state.tab !== "fields") params.set("tab", state.tab);
  if (columns !== columnsText(DEFAULT_COLUMNS)) params.set("columns", columns);
  if (state.wrap) params.set("wrap", "1");
  if (state.roomy) params.set("density", "roomy");
  if (!state.histogram) params.set("histogram", "0");
  if (state.by !== DEFAULT_STATE.by) params.set("by", state.by);
  if (state.compare !== "") params.set("compare", state.compare);
  if (state.refresh !== 0) params.set("refresh", String(state.refresh));
  const search = params.toString();
  return search === "" ? "/ui/logs" : `/ui/logs?${search}`;
}
