// Time ranges as the URL holds them (`now-15m`, RFC 3339, Unix digits) and as
// milliseconds since 1970 once resolved against a clock reading.
import { parseDuration } from "./duration";
import type { Zone } from "./format";

export interface RangeText {
  from: string;
  to: string;
}

/** Half open: `start <= t < end`, Unix ms. */
export interface TimeRange {
  start: number;
  end: number;
}

export const DEFAULT_RANGE: RangeText = { from: "now-15m", to: "now" };

export const PRESETS: readonly { name: string; from: string }[] = [
  { name: "Last 5 minutes", from: "now-5m" },
  { name: "Last 15 minutes", from: "now-15m" },
  { name: "Last 30 minutes", from: "now-30m" },
  { name: "Last hour", from: "now-1h" },
  { name: "Last 3 hours", from: "now-3h" },
  { name: "Last 6 hours", from: "now-6h" },
  { name: "Last 24 hours", from: "now-24h" },
  { name: "Last 2 days", from: "now-2d" },
  { name: "Last 7 days", from: "now-7d" },
  { name: "Last 30 days", from: "now-30d" },
];

const OLDEST = 0;
const NEWEST = Date.UTC(2262, 0, 1);

/**
 * Unix ms of one end of a range: `now`, `now-15m`, RFC 3339, Unix s/ms/µs/ns by
 * the count of digits, or a date and time without a zone, which is read in `zone`.
 */
export function parseTime(text: string, now: number, zone: Zone = "utc"): number | undefined {
  const trimmed = text.trim();
  const relative = /^now(?:\s*([-+])\s*(\S+))?$/.exec(trimmed);
  if (relative) {
    if (relative[1] === undefined) return now;
    const by = parseDuration(relative[2] ?? "");
    if (by === undefined) return undefined;
    return bounded(relative[1] === "-" ? now - by : now + by);
  }
  if (/^\d{1,20}$/.test(trimmed)) return bounded(unixDigits(trimmed));
  return bounded(calendarTime(trimmed, zone));
}

function bounded(time: number): number | undefined {
  return time >= OLDEST && time < NEWEST ? time : undefined;
}

function unixDigits(digits: string): number {
  const value = Number(digits);
  if (digits.length <= 11) return value * 1000;
  if (digits.length <= 14) return value;
  if (digits.length <= 17) return Math.floor(value / 1e3);
  return Math.floor(value / 1e6);
}

function calendarTime(text: string, zone: Zone): number {
  const match =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?\s*(Z|[-+]\d{2}:\d{2})?)?$/i.exec(
      text,
    );
  if (!match) return Number.NaN;
  const [, day = "", minutes = "00:00", seconds = "00", fraction = "", offset] = match;
  const ms = fraction.padEnd(3, "0").slice(0, 3);
  const suffix = offset?.toUpperCase() ?? (zone === "utc" ? "Z" : "");
  return Date.parse(`${day}T${minutes}:${seconds}.${ms}${suffix}`);
}

/** The range in Unix ms, or what is wrong with it. */
export function resolveRange(text: RangeText, now: number, zone: Zone = "utc"): TimeRange | string {
  const start = parseTime(text.from, now, zone);
  const end = parseTime(text.to, now, zone);
  const forms = "try now-15m, 2026-01-31 14:00, RFC 3339 or Unix time";
  if (start === undefined) return `"${text.from}" is not a time; ${forms}`;
  if (end === undefined) return `"${text.to}" is not a time; ${forms}`;
  if (start >= end) return "the range ends before it begins";
  return { start, end };
}

export function isRelative(range: RangeText): boolean {
  return range.from.includes("now") || range.to.includes("now");
}

export function absolute(range: TimeRange): RangeText {
  return { from: iso(range.start), to: iso(range.end) };
}

/** Twice as long around the same middle, never into the future of `now`. */
export function zoomOut(range: TimeRange, now: number): TimeRange {
  const half = (range.end - range.start) / 2;
  const end = Math.max(range.end, Math.min(range.end + half, now));
  return { start: Math.max(OLDEST, end - 4 * half), end };
}

/** Moved by half its length. */
export function shift(range: TimeRange, direction: -1 | 1): TimeRange {
  const by = Math.min(range.start, Math.round((range.end - range.start) / 2));
  return { start: range.start + direction * by, end: range.end + direction * by };
}

/** Unix ms of a server time; its digits below the millisecond are dropped. */
export function serverTime(text: string): number {
  return parseTime(text, 0) ?? Number.NaN;
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}
