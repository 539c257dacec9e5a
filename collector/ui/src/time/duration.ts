// Durations as people write them: 15m, 1h30m, 2d.

const UNITS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  y: 365 * 86_400_000,
};

/** Milliseconds, or undefined when the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(ms|[smhdwy]))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) {
    total += Number(amount) * (UNITS[unit ?? ""] ?? Number.NaN);
  }
  return Number.isSafeInteger(total) ? total : undefined;
}

/** The two largest units: `1d 2h`, `3m 20s`, `450ms`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`;
  const parts: string[] = [];
  let rest = Math.round(ms / 1000) * 1000;
  for (const unit of ["d", "h", "m", "s"]) {
    const size = UNITS[unit] ?? 1;
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount > 0) parts.push(`${amount}${unit}`);
    if (parts.length === 2 || (parts.length === 1 && amount === 0)) break;
  }
  return parts.join(" ");
}

/** A length in nanoseconds with three digits: `850ns`, `12.3µs`, `1.23s`; from a minute on as above. */
export function formatNanos(ns: number): string {
  if (ns >= 59.95e9) return formatDuration(ns / 1e6);
  for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]] as const) {
    if (ns >= size * 0.9995) return `${Number((ns / size).toPrecision(3))}${unit}`;
  }
  return `${Math.round(ns)}ns`;
}

/** The longest window a PromQL expression looks back, written `[5m]` or named `rate5m`. */
export function longestWindow(expression: string): number {
  const windows = expression.matchAll(/\[\s*((?:\d+(?:ms|[smhdwy]))+)|rate((?:\d+(?:ms|[smhdwy]))+)\b/g);
  let longest = 0;
  for (const match of windows) {
    longest = Math.max(longest, parseDuration(match[1] ?? match[2] ?? "") ?? 0);
  }
  return longest;
}
