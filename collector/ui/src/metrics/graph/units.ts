// Units of values: guessed from how metrics are named, and how values are written in them.

export type Unit = "none" | "seconds" | "milliseconds" | "bytes" | "bytes/s" | "ratio" | "percent" | "/s";

/** With the names that readers choose from. */
export const UNITS: readonly { id: Unit; name: string }[] = [
  { id: "none", name: "number" },
  { id: "/s", name: "per second" },
  { id: "seconds", name: "seconds" },
  { id: "milliseconds", name: "milliseconds" },
  { id: "bytes", name: "bytes" },
  { id: "bytes/s", name: "bytes per second" },
  { id: "ratio", name: "0–1 as %" },
  { id: "percent", name: "%" },
];

export function unitNamed(text: string): Unit | undefined {
  return UNITS.find(({ id }) => id === text)?.id;
}

/**
 * The unit of an expression's values, by the suffixes of its metrics' names and the
 * functions around them; `none` when that says nothing or several things.
 */
export function guessUnit(expression: string): Unit {
  const text = withoutMatchers(expression);
  if (/\b(count|count_values|group|stddev_over_time)\s*(\(|by\b|without\b)/.test(text)) return "none";
  const names = [...text.matchAll(/[a-zA-Z_:][\w:]*(?!\w*\s*\()/g)].map(([name]) => name);
  if (text.includes("/")) return averageUnit(names) ?? "none";
  const units = new Set(names.map(nameUnit).filter((unit) => unit !== undefined));
  const [base] = units;
  if (units.size > 1) return "none";
  if (/\bhistogram_(quantile|avg)\w*\s*\(/.test(text)) return base ?? "none";
  if (!/\b(i?rate|deriv)\s*\(/.test(text)) return base ?? "none";
  if (base === "bytes") return "bytes/s";
  // Seconds per second are a share of time.
  return base === undefined || base === "none" ? "/s" : "none";
}

/**
 * The units of a graph's value axes: the first on the left, another on the right.
 * What has a third unit is drawn by the left axis.
 */
export function axisUnits(units: readonly Unit[]): { left: Unit; right: Unit | undefined } {
  const [left = "none", right, third] = [...new Set(units)];
  return { left: third === undefined ? left : "none", right: third === undefined ? right : undefined };
}

function withoutMatchers(expression: string): string {
  return expression
    .replace(/#[^\n]*/g, " ")
    .replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, " ")
    .replace(/\{[^}]*\}/g, " ")
    .replace(/\[[^\]]*\]/g, " ")
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, " $1 ");
}

/** `x_seconds_sum / x_seconds_count` is an average in seconds. */
function averageUnit(names: readonly string[]): Unit | undefined {
  const sum = names.find((name) => name.endsWith("_sum"));
  if (sum === undefined || !names.includes(sum.replace(/_sum$/, "_count"))) return undefined;
  return nameUnit(sum);
}

function nameUnit(name: string): Unit | undefined {
  const parts = name.split(/[_:]/);
  const last = parts.findLast((part) => !["total", "sum", "bucket", "count", "min", "max", "created"].includes(part));
  // How many there were, not how long they took.
  if (parts.at(-1) === "count") return "none";
  if (parts.includes("timestamp")) return "none";
  if (last === "seconds") return "seconds";
  if (last === "milliseconds" || last === "ms") return "milliseconds";
  if (last === "bytes") return "bytes";
  if (last === "ratio") return "ratio";
  if (last === "percent") return "percent";
  return name.endsWith("_total") ? "none" : undefined;
}

/** A value for reading, four digits of it: `1.234 ms`, `12.3 MiB`, `4.5k`. */
export function formatValue(value: number | null, unit: Unit): string {
  if (value === null) return "–";
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "−Inf";
  const sign = value < 0 ? "−" : "";
  return sign + magnitude(Math.abs(value), unit);
}

function magnitude(value: number, unit: Unit): string {
  switch (unit) {
    case "seconds":
      return time(value);
    case "milliseconds":
      return time(value / 1000);
    case "bytes":
      return bytes(value);
    case "bytes/s":
      return `${bytes(value)}/s`;
    case "ratio":
      return `${digits(value * 100)} %`;
    case "percent":
      return `${digits(value)} %`;
    case "/s":
      return `${short(value)}/s`;
    case "none":
      return short(value);
  }
}

function digits(value: number): string {
  if (value === 0) return "0";
  if (value < 1e-4) return value.toExponential(2).replace(/\.?0+e/, "e").replace("-", "−");
  return String(Number(value.toPrecision(4)));
}

function short(value: number): string {
  for (const [size, name] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    // 9,999 is read as easily as 9.999k.
    if (value >= size && value >= 1e4) return `${digits(value / size)}${name}`;
  }
  return digits(value);
}

function bytes(value: number): string {
  const names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let size = value;
  let at = 0;
  while (size >= 1024 && at < names.length - 1) {
    size /= 1024;
    at += 1;
  }
  return `${digits(size)} ${names[at] ?? ""}`;
}

function time(seconds: number): string {
  if (seconds === 0) return "0 s";
  if (seconds < 1e-6) return `${digits(seconds * 1e9)} ns`;
  if (seconds < 1e-3) return `${digits(seconds * 1e6)} µs`;
  if (seconds < 1) return `${digits(seconds * 1e3)} ms`;
  if (seconds < 120) return `${digits(seconds)} s`;
  if (seconds < 7200) return `${digits(seconds / 60)} min`;
  if (seconds < 172_800) return `${digits(seconds / 3600)} h`;
  return `${digits(seconds / 86_400)} d`;
}

/** Steps between the marks of a value axis; undefined for the usual decimal ones. */
export function axisSteps(unit: Unit): number[] | undefined {
  if (unit !== "bytes" && unit !== "bytes/s") return undefined;
  return Array.from({ length: 60 }, (_, power) => 2 ** power);
}
