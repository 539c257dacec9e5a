// Time ranges on the clipboard: copied as `from/to`, read in every form that other
// tools copy them in.
import { parseTime, type RangeText } from "./range";

export function rangeText({ from, to }: RangeText): string {
  return `${from}/${to}`;
}

/**
 * Two times with `/`, ` - `, ` – `, `..`, a comma or space between them, JSON with
 * `from`/`to` or `start`/`end`, or an address that has them; undefined for all else.
 */
export function readRangeText(text: string): RangeText | undefined {
  const trimmed = text.trim();
  const pair = fromJson(trimmed) ?? fromAddress(trimmed) ?? fromPair(trimmed);
  if (pair === undefined) return undefined;
  const [from, to] = pair;
  const known = parseTime(from, Date.now()) !== undefined && parseTime(to, Date.now()) !== undefined;
  return known ? { from, to } : undefined;
}

type Pair = [string, string];

function fromJson(text: string): Pair | undefined {
  if (!text.startsWith("{") && !text.startsWith("[")) return undefined;
  try {
    const value = JSON.parse(text) as Record<string, unknown> | unknown[];
    const [from, to] = Array.isArray(value) ? value : [value.from ?? value.start, value.to ?? value.end];
    return isTime(from) && isTime(to) ? [String(from), String(to)] : undefined;
  } catch {
    return undefined;
  }
}

function isTime(value: unknown): value is string | number {
  return typeof value === "string" || typeof value === "number";
}

function fromAddress(text: string): Pair | undefined {
  if (!/^https?:\/\//.test(text)) return undefined;
  const params = new URL(text).searchParams;
  const from = params.get("from") ?? params.get("start");
  const to = params.get("to") ?? params.get("end");
  return from === null || to === null ? undefined : [from, to];
}

function fromPair(text: string): Pair | undefined {
  const parts = text.split(/\s*(?:\/|\.\.|,|\s[-–]\s|\s+to\s+)\s*/);
  const [from, to] = parts.length === 2 ? parts : text.split(/\s+/);
  return from && to && (parts.length === 2 || text.split(/\s+/).length === 2) ? [from, to] : undefined;
}
