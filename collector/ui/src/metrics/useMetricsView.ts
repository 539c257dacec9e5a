// The Metrics page's state as read from the URL, and the ways to change it: every
// action is a navigation.
import { useMemo } from "react";
import { currentLocation, navigate, useLocation } from "../app/location";
import { absolute, resolveRange, shift, zoomOut, type RangeText, type TimeRange } from "../time/range";
import { metricsUrl, readState, type MetricsState } from "./state";

export interface MetricsView {
  state: MetricsState;
  /** What `now` means, Unix ms. */
  at: number;
  /** The range, or what is wrong with it. */
  range: TimeRange | string;
  /** Another look at the same data. */
  show: (change: Partial<MetricsState>) => void;
  /** Other data: `now` is now. */
  start: (change: Partial<MetricsState>) => void;
  pickRange: (range: RangeText) => void;
  zoom: (range: TimeRange) => void;
  zoomOut: () => void;
  shift: (direction: -1 | 1) => void;
  /** The address of this view, changed, with its origin. */
  link: (change: Partial<MetricsState>) => string;
}

export function useMetricsView(): MetricsView {
  const { search, at } = useLocation();
  const state = useMemo(() => readState(search), [search]);
  const { from, to } = state.range;
  const range = useMemo(() => resolveRange({ from, to }, at), [from, to, at]);
  return useMemo(() => ({ state, at, range, ...actions(state, range) }), [state, at, range]);
}

function actions(state: MetricsState, range: TimeRange | string) {
  const start = (change: Partial<MetricsState>) => navigate(metricsUrl({ ...state, ...change }));
  const show = (change: Partial<MetricsState>) => navigate(metricsUrl({ ...state, ...change }), { sameTime: true });
  const zoom = (to: TimeRange) => start({ range: absolute(to) });
  const move = (by: (range: TimeRange) => TimeRange) => {
    if (typeof range !== "string") zoom(by(range));
  };
  return {
    start,
    show,
    zoom,
    pickRange: (to: RangeText) => start({ range: to }),
    zoomOut: () => move((from) => zoomOut(from, currentLocation().at)),
    shift: (direction: -1 | 1) => move((from) => shift(from, direction)),
    link: (change: Partial<MetricsState>) => window.location.origin + metricsUrl({ ...state, ...change }),
  };
}
