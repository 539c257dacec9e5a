// How times are shown: always 24 hours, in the reader's zone or in UTC.

export type Zone = "local" | "utc";

interface Parts {
  date: string;
  clock: string;
  ms: string;
}

function parts(ms: number, zone: Zone): Parts {
  const at = new Date(ms);
  if (zone === "utc") {
    const text = at.toISOString();
    return { date: text.slice(0, 10), clock: text.slice(11, 19), ms: text.slice(20, 23) };
  }
  const two = (value: number) => String(value).padStart(2, "0");
  return {
    date: `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
    clock: `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`,
    ms: String(at.getMilliseconds()).padStart(3, "0"),
  };
}

/** `14:03:05.123`, with the day before it when asked. */
export function rowTime(ms: number, zone: Zone, withDay: boolean): string {
  const p = parts(ms, zone);
  return withDay ? `${p.date.slice(5)} ${p.clock}.${p.ms}` : `${p.clock}.${p.ms}`;
}

/** `2026-01-31 14:03:05`. */
export function dayTime(ms: number, zone: Zone): string {
  const p = parts(ms, zone);
  return `${p.date} ${p.clock}`;
}

/** As exact as the server sent it: `2026-01-31 14:03:05.123456789`. */
export function exactTime(text: string, ms: number, zone: Zone): string {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
  const p = parts(ms, zone);
  return `${p.date} ${p.clock}.${fraction.padEnd(3, "0")}`;
}

export function sameDay(a: number, b: number, zone: Zone): boolean {
  return parts(a, zone).date === parts(b, zone).date;
}

/** A short name of an absolute range, without the day where it says nothing. */
export function rangeLabel(start: number, end: number, zone: Zone, now: number): string {
  const from = dayTime(start, zone);
  const to = dayTime(end, zone);
  if (!sameDay(start, end, zone)) return `${from} – ${to}`;
  return `${sameDay(start, now, zone) ? from.slice(11) : from} – ${to.slice(11)}`;
}

/** The name of the reader's zone, such as `UTC+02:00`. */
export function zoneName(zone: Zone, at: number): string {
  if (zone === "utc") return "UTC";
  const offset = -new Date(at).getTimezoneOffset();
  if (offset === 0) return "UTC+00:00";
  const two = (value: number) => String(value).padStart(2, "0");
  const size = Math.abs(offset);
  return `UTC${offset < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** Labels of a time axis: evenly spaced, on round values of the reader's zone. */
export function axisTicks(start: number, end: number, zone: Zone, most: number): { at: number; label: string }[] {
  const minute = 60_000;
  const steps = [1e3, 5e3, 15e3, 30e3, minute, 2 * minute, 5 * minute, 10 * minute, 30 * minute]
    .concat([1, 3, 6, 12, 24, 48, 168, 720].map((hours) => hours * 60 * minute));
  const step = steps.find((size) => (end - start) / size <= most) ?? (end - start) / most;
  const offset = zone === "utc" ? 0 : new Date(start).getTimezoneOffset() * minute;
  const ticks: { at: number; label: string }[] = [];
  for (let at = Math.ceil((start - offset) / step) * step + offset; at < end; at += step) {
    const p = parts(at, zone);
    const label = step >= 24 * 60 * minute ? p.date.slice(5) : step < minute ? p.clock : p.clock.slice(0, 5);
    ticks.push({ at, label: p.clock === "00:00:00" && step >= minute ? p.date.slice(5) : label });
  }
  return ticks;
}
