// How far apart the points of a graph lie.
import { formatDuration, parseDuration } from "../../time/duration";
import type { TimeRange } from "../../time/range";

/** The server takes no more points a series. */
const MOST_POINTS = 11_000;
/** A graph is drawn with a point for so many pixels. */
const PX_A_POINT = 2;
const FEWEST_POINTS = 100;
const MOST_AUTO_POINTS = 1500;

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const NICE = [1, 2, 5, 10, 20, 50, 100, 200, 500]
  .concat([1, 2, 5, 10, 15, 20, 30].map((n) => n * SECOND))
  .concat([1, 2, 5, 10, 15, 20, 30].map((n) => n * MINUTE))
  .concat([1, 2, 3, 4, 6, 8, 12].map((n) => n * HOUR))
  .concat([1, 2, 3, 7, 14, 30, 90, 365].map((n) => n * DAY));

/** The times of a range query, in ms: `start`, `start + step`, … up to `end`. */
export interface Grid {
  start: number;
  end: number;
  step: number;
}

/** A round step with which the range's points fill a graph of this width. */
export function autoStep(range: TimeRange, width: number): number {
  const points = Math.min(MOST_AUTO_POINTS, Math.max(FEWEST_POINTS, width / PX_A_POINT));
  const least = (range.end - range.start) / points;
  return NICE.find((step) => step >= least) ?? Math.ceil(least / DAY) * DAY;
}

/**
 * The points of a range, or what is wrong with the step. They lie on multiples of
 * the step, so that a refresh asks for the same times again and not for others between.
 */
export function gridOf(range: TimeRange, step: string, width: number): Grid | string {
  const size = step === "" ? autoStep(range, width) : (parseDuration(step) ?? 0);
  if (size <= 0) return `"${step}" is not a step; try 15s, 1m or leave it empty`;
  const length = range.end - range.start;
  if (length / size > MOST_POINTS) {
    const least = NICE.find((nice) => length / nice <= MOST_POINTS) ?? length / MOST_POINTS;
    return `a step of ${step} makes more than ${MOST_POINTS.toLocaleString("en")} points; take ${formatDuration(least)} or more, or a shorter range`;
  }
  const end = Math.floor(range.end / size) * size;
  const start = Math.ceil(range.start / size) * size;
  return { start: Math.min(start, end), end, step: size };
}

/** Unix seconds of every point. */
export function timesOf({ start, end, step }: Grid): number[] {
  return Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, at) => (start + at * step) / 1000);
}
