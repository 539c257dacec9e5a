// The Logs page's state as read from the URL, and the ways to change it: every
// action is a navigation.
import { useMemo } from "react";
import { currentLocation, navigate, useLocation } from "../app/location";
import { addFilter, type Polarity } from "../query/edit";
import { absolute, resolveRange, shift, zoomOut, type RangeText, type TimeRange } from "../time/range";
import { logsUrl, readState, type LogsState } from "./state";
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
  filter: (field: string, value: string, polarity: Polarity) => void;
  /** A whole address of this view, changed. */
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
  const zoom = (range: TimeRange) => start({ range: absolute(range) });
  const move = (by: (range: TimeRange) => TimeRange) => {
    if (run !== undefined) zoom(by(run.range));
  };
  return {
    start,
    zoom,
    show: (change: Partial<LogsState>, replace = false) =>
      navigate(logsUrl({ ...state, ...change }), { sameTime: true, replace }),
    pickRange: (range: RangeText) => start({ range }),
    zoomOut: () => move((range) => zoomOut(range, currentLocation().at)),
    shift: (direction: -1 | 1) => move((range) => shift(range, direction)),
    filter: (field: string, value: string, polarity: Polarity) => {
      const keep = polarity === "for" && state.record !== undefined ? { record: state.record } : {};
      start({ query: addFilter(state.query, field, value, polarity), ...keep });
    },
    link: (change: Partial<LogsState>) => window.location.origin + logsUrl({ ...state, ...change }),
  };
}
