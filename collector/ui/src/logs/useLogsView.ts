// The Logs page's state as read from the URL, and the ways to change it: every
// action is a navigation.
import { useMemo } from "react";
import { currentLocation, navigate, useLocation } from "../app/location";
import { prefer, currentPreferences } from "../app/preferences";
import { addExists, addFilter, addText, type Polarity } from "../query/edit";
import { absolute, resolveRange, shift, zoomOut, type RangeText, type TimeRange } from "../time/range";
import type { FieldActions } from "./record/FieldTable";
import { logsUrl, readState, type LogsState } from "./state";
import { toggleColumn } from "./table/columns";
import type { ColumnActions } from "./table/Header";
import type { Run } from "./useLogs";

export interface LogsView {
  state: LogsState;
  /** What `now` means, Unix ms. */
  at: number;
  /** The range, or what is wrong with it. */
  range: TimeRange | string;
  /** Undefined when the range is none. */
  run: Run | undefined;
  /** Another look at the same run. */
  show: (change: Partial<LogsState>, replace?: boolean) => void;
  /** Another run; the record shown belongs to the last one unless it is named again. */
  start: (change: Partial<LogsState>) => void;
  pickRange: (range: RangeText) => void;
  zoom: (range: TimeRange) => void;
  zoomOut: () => void;
  shift: (direction: -1 | 1) => void;
  fields: FieldActions;
  columns: ColumnActions;
  /** Adds a search to the one that is run, and shows the records. */
  narrow: (text: string, polarity: Polarity) => void;
  /** The address of this view, changed. */
  url: (change: Partial<LogsState>) => string;
  /** The same with its origin, to be given to others. */
  link: (change: Partial<LogsState>) => string;
}

export function useLogsView(): LogsView {
  const { search, at } = useLocation();
  const state = useMemo(() => readState(search), [search]);
  const { query, order } = state;
  const { from, to } = state.range;
  const range = useMemo(() => resolveRange({ from, to }, at), [from, to, at]);
  const run = useMemo(
    (): Run | undefined => (typeof range === "string" ? undefined : { query, range, order }),
    [query, range, order],
  );
  return useMemo(() => ({ state, at, range, run, ...actions(state, run) }), [state, at, range, run]);
}

function actions(state: LogsState, run: Run | undefined) {
  const start = (change: Partial<LogsState>) => navigate(logsUrl({ ...state, record: undefined, ...change }));
  const show = (change: Partial<LogsState>, replace = false) =>
    navigate(logsUrl({ ...state, ...change }), { sameTime: true, replace });
  const zoom = (range: TimeRange) => start({ range: absolute(range) });
  const move = (by: (range: TimeRange) => TimeRange) => {
    if (run !== undefined) zoom(by(run.range));
  };
  return {
    start,
    zoom,
    show,
    pickRange: (range: RangeText) => start({ range }),
    zoomOut: () => move((range) => zoomOut(range, currentLocation().at)),
    shift: (direction: -1 | 1) => move((range) => shift(range, direction)),
    narrow: (text: string, polarity: Polarity) =>
      start({ query: addText(state.query, text, polarity), ...(polarity === "for" ? { mode: "records" as const } : {}) }),
    fields: fieldActions(state, start, show),
    columns: {
      change: (columns: LogsState["columns"], replace = false) => show({ columns }, replace),
      groupBy: (by: string) => show({ by, histogram: true }),
    },
    url: (change: Partial<LogsState>) => logsUrl({ ...state, ...change }),
    link: (change: Partial<LogsState>) => window.location.origin + logsUrl({ ...state, ...change }),
  };
}

function fieldActions(state: LogsState, start: LogsView["start"], show: LogsView["show"]): FieldActions {
  // The record that is open passes a filter for its own value.
  const keep = (polarity: Polarity) => (polarity === "for" && state.record !== undefined ? { record: state.record } : {});
  return {
    filter: (field, value, polarity) =>
      start({ query: addFilter(state.query, field, value, polarity), ...keep(polarity) }),
    exists: (field, polarity) => start({ query: addExists(state.query, field, polarity), ...keep(polarity) }),
    toggleColumn: (field) => show({ columns: toggleColumn(state.columns, field) }),
    groupBy: (by) => show({ by, histogram: true }),
    showValues: (field) => {
      const { facets } = currentPreferences();
      prefer({ sidebar: true, facets: [field, ...facets.filter((name) => name !== field)] });
    },
  };
}
