// What can be said of patterns without asking the server: the search that finds a
// pattern's records, the range it is compared with, how it changed.
import type { Pattern, PatternChange } from "../../api/types";
import { formatDuration, parseDuration } from "../../time/duration";
import { resolveRange, type TimeRange } from "../../time/range";

/** Stands for a variable part of a pattern. */
const VARIABLE = "<_>";
/** The server's bound for an expression is 1,000 bytes. */
const LONGEST_EXPRESSION = 900;

export interface Part {
  text: string;
  variable: boolean;
}

export function patternParts(pattern: string): Part[] {
  return pattern
    .split(/(<_>)/)
    .filter((text) => text !== "")
    .map((text) => ({ text, variable: text === VARIABLE }));
}

/**
 * The search for a pattern's records: an expression over the whole body, or over
 * its beginning when the pattern is too long for one.
 */
export function patternSearch(pattern: string): string {
  let expression = "(?s)^";
  for (const { text, variable } of patternParts(pattern)) {
    const part = variable ? ".+" : escapeExpression(text);
    if (utf8Length(expression + part) > LONGEST_EXPRESSION) return `/${expression}/`;
    expression += part;
  }
  return `/${expression}$/`;
}

function escapeExpression(text: string): string {
  return text
    .replace(/[\\^$.|?*+()[\]{}/]/g, "\\$&")
    .replace(/\n/g, "\\n")
    .replace(/\r/g, "\\r")
    .replace(/\t/g, "\\t");
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

export const COMPARE_CHOICES = [
  { value: "", name: "nothing" },
  { value: "before", name: "the time before" },
  { value: "1d", name: "a day before" },
  { value: "7d", name: "a week before" },
] as const;

/**
 * The range that patterns are compared with: the time just before the range, the
 * same times a duration before, or `from/to`. Text says what is wrong with it.
 */
export function baseline(compare: string, range: TimeRange, at: number): TimeRange | string | undefined {
  if (compare === "") return undefined;
  if (compare.includes("/")) {
    const [from = "", to = ""] = compare.split("/");
    return resolveRange({ from, to }, at);
  }
  const by = compare === "before" ? range.end - range.start : parseDuration(compare);
  if (by === undefined || by === 0) return `"${compare}" is neither "before", a duration such as 1d nor two times`;
  const earlier = { start: range.start - by, end: range.end - by };
  return earlier.start < 0 ? "the range compared with begins before 1970" : earlier;
}

export function compareName(compare: string): string {
  const choice = COMPARE_CHOICES.find(({ value }) => value === compare);
  if (choice !== undefined) return choice.name;
  const by = parseDuration(compare);
  return by === undefined ? "another range" : `${formatDuration(by)} before`;
}

export const CHANGES: readonly PatternChange[] = ["new", "gone", "more", "less", "same"];

/** The most telling change first, then the most frequent pattern. */
export function byChange(a: Pattern, b: Pattern): number {
  const rank = (pattern: Pattern) => (pattern.change === null ? CHANGES.length : CHANGES.indexOf(pattern.change));
  return rank(a) - rank(b) || size(b) - size(a);
}

function size({ count, baseline }: Pattern): number {
  return Math.max(Number(count), Number(baseline ?? 0));
}

/** How a count compares with the one before, such as `×2.5`. */
export function ratio({ count, baseline }: Pattern): string {
  const [now, then] = [Number(count), Number(baseline ?? 0)];
  if (then === 0 || now === 0) return "";
  const times = now / then;
  if (times >= 1) return `×${times >= 10 ? Math.round(times) : times.toFixed(1)}`;
  return `−${Math.round(100 * (1 - times))}%`;
}
