// Reading, moving and naming times.
import { describe, expect, test } from "vitest";
import { formatDuration, formatNanos, longestWindow, parseDuration } from "./duration";
import { readRangeText } from "./exchange";
import { axisTicks, exactTime, rangeLabel, rowTime } from "./format";
import { iso, parseTime, resolveRange, shift, zoomOut } from "./range";

const NOW = Date.parse("2026-03-04T05:06:07.008Z");

describe("parseTime", () => {
  test.each([
    ["now", "2026-03-04T05:06:07.008Z"],
    ["now-15m", "2026-03-04T04:51:07.008Z"],
    ["now - 1h30m", "2026-03-04T03:36:07.008Z"],
    ["now+10s", "2026-03-04T05:06:17.008Z"],
    ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"],
    ["2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123Z"],
    ["2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000Z"],
    ["2026-01-02 03:04", "2026-01-02T03:04:00.000Z"],
    ["2026-01-02", "2026-01-02T00:00:00.000Z"],
    ["1767323045", "2026-01-02T03:04:05.000Z"],
    ["1767323045678", "2026-01-02T03:04:05.678Z"],
    ["1767323045678901", "2026-01-02T03:04:05.678Z"],
    ["1767323045678901234", "2026-01-02T03:04:05.678Z"],
  ])("%s", (text, expected) => {
    expect(iso(parseTime(text, NOW) ?? Number.NaN)).toBe(expected);
  });

  test.each(["", "yesterday", "now-", "now-5", "now-5x", "2026-13-01", "2026-01-02T25:00", "99999999999999999999"])(
    "%s is no time",
    (text) => expect(parseTime(text, NOW)).toBeUndefined(),
  );
});

test("a range must begin before it ends, and says what is wrong", () => {
  expect(resolveRange({ from: "now-1m", to: "now" }, NOW)).toEqual({ start: NOW - 60_000, end: NOW });
  expect(resolveRange({ from: "now", to: "now-1m" }, NOW)).toBe("the range ends before it begins");
  expect(resolveRange({ from: "noon", to: "now" }, NOW)).toMatch(/^"noon" is not a time/);
});

test("zooming out doubles the range and does not reach into the future", () => {
  expect(zoomOut({ start: 100, end: 200 }, 10_000)).toEqual({ start: 50, end: 250 });
  expect(zoomOut({ start: 100, end: 200 }, 200)).toEqual({ start: 0, end: 200 });
  expect(zoomOut({ start: 1000, end: 1100 }, 1100)).toEqual({ start: 900, end: 1100 });
});

test("shifting moves by half the range", () => {
  expect(shift({ start: 100, end: 200 }, -1)).toEqual({ start: 50, end: 150 });
  expect(shift({ start: 100, end: 200 }, 1)).toEqual({ start: 150, end: 250 });
});

test.each([
  [0, "0ns"],
  [850, "850ns"],
  [999.7, "1µs"],
  [12_345, "12.3µs"],
  [1_230_000, "1.23ms"],
  [999_600_000, "1s"],
  [59_940_000_000, "59.9s"],
  [59_960_000_000, "1m"],
  [200_000_000_000, "3m 20s"],
])("%d ns reads %s", (ns, expected) => {
  expect(formatNanos(ns)).toBe(expected);
});

test("durations", () => {
  expect(parseDuration("1h30m")).toBe(5_400_000);
  expect(parseDuration("1.5h")).toBeUndefined();
  expect(formatDuration(93_600_000)).toBe("1d 2h");
  expect(formatDuration(200_000)).toBe("3m 20s");
  expect(formatDuration(86_400_000 + 5000)).toBe("1d");
  expect(formatDuration(450)).toBe("450ms");
  expect(longestWindow("rate(a[5m]) / rate(b[1h30m:30s]) > 0")).toBe(5_400_000);
  expect(longestWindow("slo:sli_error:ratio_rate3d{} > 1 and slo:sli_error:ratio_rate6h > 1")).toBe(259_200_000);
  expect(longestWindow("up == 0")).toBe(0);
});

test("shown times", () => {
  const end = NOW + 3_600_000;
  expect(rowTime(NOW, "utc", false)).toBe("05:06:07.008");
  expect(rowTime(NOW, "utc", true)).toBe("03-04 05:06:07.008");
  expect(exactTime("2026-03-04T05:06:07.008123456Z", NOW, "utc")).toBe("2026-03-04 05:06:07.008123456");
  expect(rangeLabel(NOW, end, "utc", end)).toBe("05:06:07 – 06:06:07");
  expect(rangeLabel(NOW, end, "utc", end + 86_400_000)).toBe("2026-03-04 05:06:07 – 06:06:07");
});

test("axis ticks lie on round times inside the range", () => {
  const ticks = axisTicks(NOW, NOW + 900_000, "utc", 8);
  expect(ticks.map((tick) => tick.label)).toEqual(["05:08", "05:10", "05:12", "05:14", "05:16", "05:18", "05:20"]);
  const days = axisTicks(NOW, NOW + 3 * 86_400_000, "utc", 8);
  expect(days.map((tick) => tick.label)).toContain("03-05");
});

describe("a time range on the clipboard", () => {
  test.each([
    ["2026-01-02T03:04:05Z/2026-01-02T04:04:05Z", "2026-01-02T03:04:05Z", "2026-01-02T04:04:05Z"],
    ["now-1h/now", "now-1h", "now"],
    ['{"from":"now-1h","to":"now"}', "now-1h", "now"],
    ['{"start":1767323045,"end":"1767326645000"}', "1767323045", "1767326645000"],
    ["[1767323045, 1767326645]", "1767323045", "1767326645"],
    ["2026-01-02 03:04 – 2026-01-02 04:04", "2026-01-02 03:04", "2026-01-02 04:04"],
    ["1767323045 1767326645", "1767323045", "1767326645"],
    ["https://x/ui/logs?q=a&from=now-6h&to=now-1h", "now-6h", "now-1h"],
  ])("%s", (text, from, to) => {
    expect(readRangeText(text)).toEqual({ from, to });
  });

  test.each(["", "yesterday", "now-1h", "a/b", "{", "https://x/?q=1"])("%s is none", (text) => {
    expect(readRangeText(text)).toBeUndefined();
  });
});
