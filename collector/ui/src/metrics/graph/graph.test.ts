// The numbers behind a graph: steps, columns, names, units and readings.
import { describe, expect, test } from "vitest";
import type { MatrixSeries } from "../../api/prometheus";
import { MOST_EXEMPLARS, toExemplars } from "./exemplars";
import { isolated, nextSorting, sorted, toggled } from "./legend";
import { seriesNames, seriesText } from "./names";
import { readings, shownReadings, stack } from "./readings";
import { MOST_SERIES, summarize, toGraph, type GraphData } from "./series";
import { autoStep, gridOf, timesOf, type Grid } from "./step";
import { axisUnits, formatValue, guessUnit, type Unit } from "./units";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const GRID: Grid = { start: 1_000_000, end: 1_060_000, step: 15_000 };

function graph(result: MatrixSeries[], legend = ""): GraphData {
  return toGraph(GRID, [{ query: 0, expression: "x", legend, unit: "none", data: { resultType: "matrix", result } }]);
}

describe("steps", () => {
  test.each([
    [15 * MINUTE, 1200, 2_000],
    [HOUR, 1200, 10_000],
    [24 * HOUR, 1200, 5 * MINUTE],
    [400 * 24 * HOUR, 1200, 24 * HOUR],
    [HOUR, 10, MINUTE],
    [1, 1200, 1],
  ])("%i ms on %i px: %i ms", (length, width, expected) => {
    expect(autoStep({ start: 0, end: length }, width)).toBe(expected);
  });

  test("points lie on multiples of the step, so that a refresh meets them again", () => {
    expect(gridOf({ start: 61_000, end: 181_000 }, "1m", 1000)).toEqual({ start: 120_000, end: 180_000, step: MINUTE });
    expect(timesOf({ start: 120_000, end: 180_000, step: 30_000 })).toEqual([120, 150, 180]);
  });

  test("a step longer than the range has one point", () => {
    expect(gridOf({ start: 61_000, end: 119_000 }, "1h", 1000)).toEqual({ start: 0, end: 0, step: HOUR });
  });

  test("too many points are refused, with a step that works", () => {
    expect(gridOf({ start: 0, end: 24 * HOUR }, "1s", 1000)).toBe(
      "a step of 1s makes more than 11,000 points; take 10s or more, or a shorter range",
    );
  });
});

describe("columns", () => {
  test("a missing point is a gap; NaN and infinities are values", () => {
    const { series, times } = graph([{ metric: {}, values: [[1000, "1"], [1030, "NaN"], [1045, "+Inf"]] }]);
    expect(times).toEqual([1000, 1015, 1030, 1045, 1060]);
    expect(series[0]?.values).toEqual([1, null, Number.NaN, Infinity, null]);
    expect(series[0]?.summary).toEqual({ min: 1, max: 1, mean: 1, last: Infinity });
  });

  test("native histograms are counted, not drawn", () => {
    const data = graph([{ metric: { a: "1" }, histograms: [[1000, { count: "1", sum: "2" }]] }, { metric: { a: "2" }, values: [] }]);
    expect([data.series.length, data.found, data.histograms]).toEqual([1, 2, 1]);
  });

  test("of too many series the highest are drawn, in the order they came", () => {
    const all = Array.from({ length: MOST_SERIES + 2 }, (_, n): MatrixSeries => ({ metric: { n: String(n) }, values: [[1000, String(n)]] }));
    const data = graph(all);
    expect(data.series).toHaveLength(MOST_SERIES);
    expect(data.found).toBe(MOST_SERIES + 2);
    expect(data.series[0]?.labels).toEqual({ n: "2" });
  });

  test("an empty series has no summary", () => {
    expect(summarize([null, null])).toEqual({ min: null, max: null, mean: null, last: null });
  });
});

describe("names", () => {
  const series = [
    { __name__: "x", job: "a", le: "1" },
    { __name__: "x", job: "a", le: "2" },
  ];

  test("series are named by what tells them apart", () => {
    expect(seriesNames(series, "", "x")).toEqual(['{le="1"}', '{le="2"}']);
    expect(seriesNames(series.slice(0, 1), "", "x")).toEqual(['x{job="a", le="1"}']);
    expect(seriesNames([{}], "", " sum(x) ")).toEqual(["sum(x)"]);
  });

  test("a legend fills in labels; one that is absent is empty", () => {
    expect(seriesNames(series, "{{ job }}/{{le}}{{nothing}}", "x")).toEqual(["a/1", "a/2"]);
  });

  test("labels are written as PromQL quotes them", () => {
    expect(seriesText({ a: 'b"c' })).toBe('{a="b\\"c"}');
    expect(seriesText({ __name__: "up" })).toBe("up");
  });
});

describe("units", () => {
  test.each<[string, Unit]>([
    ["up", "none"],
    ["rate(http_requests_total[5m])", "/s"],
    ["http_requests_total", "none"],
    ["process_resident_memory_bytes", "bytes"],
    ["sum by (device) (rate(node_network_receive_bytes_total[5m]))", "bytes/s"],
    ["histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[5m])))", "seconds"],
    ["rate(x_seconds_sum[5m]) / rate(x_seconds_count[5m])", "seconds"],
    ["rate(x_seconds_count[5m])", "/s"],
    ["rate(process_cpu_seconds_total[5m])", "none"],
    ["a_bytes / b_bytes", "none"],
    ["count by (job) (x_bytes)", "none"],
    ["x_timestamp_seconds", "none"],
    ['up{path="a_bytes"}', "none"],
    ["errors_ratio", "ratio"],
    ["a_bytes + b_seconds", "none"],
  ])("%s: %s", (expression, unit) => {
    expect(guessUnit(expression)).toBe(unit);
  });

  test.each<[number | null, Unit, string]>([
    [0, "none", "0"],
    [9999, "none", "9999"],
    [12_345_678, "none", "12.35M"],
    [0.000012345, "none", "1.23e−5"],
    [-1.5, "none", "−1.5"],
    [Number.NaN, "seconds", "NaN"],
    [-Infinity, "none", "−Inf"],
    [null, "bytes", "–"],
    [1536, "bytes", "1.5 KiB"],
    [1024 ** 3, "bytes/s", "1 GiB/s"],
    [0.00123, "seconds", "1.23 ms"],
    [0.0000005, "seconds", "500 ns"],
    [90, "seconds", "90 s"],
    [7200, "seconds", "2 h"],
    [1500, "milliseconds", "1.5 s"],
    [0.1234, "ratio", "12.34 %"],
    [0.5, "/s", "0.5/s"],
  ])("%f as %s is %s", (value, unit, text) => {
    expect(formatValue(value, unit)).toBe(text);
  });

  test("two units have an axis each, three have one", () => {
    expect(axisUnits(["seconds", "/s", "seconds"])).toEqual({ left: "seconds", right: "/s" });
    expect(axisUnits(["seconds", "/s", "bytes"])).toEqual({ left: "none", right: undefined });
    expect(axisUnits([])).toEqual({ left: "none", right: undefined });
  });
});

describe("readings", () => {
  const { series } = graph([
    { metric: { n: "low" }, values: [[1000, "1"], [1015, "1"]] },
    { metric: { n: "high" }, values: [[1000, "3"]] },
    { metric: { n: "nan" }, values: [[1000, "NaN"]] },
    { metric: { n: "inf" }, values: [[1000, "+Inf"]] },
  ]);
  const names = (at: number) => readings(series, at).map((reading) => reading.series.labels.n);

  test("the highest first, NaN last, nothing for a gap", () => {
    expect(names(0)).toEqual(["inf", "high", "low", "nan"]);
    expect(names(1)).toEqual(["low"]);
    expect(names(4)).toEqual([]);
  });

  test("the one that is pointed at is always among those shown", () => {
    const all = readings(series, 0);
    expect(shownReadings(all, 2, all[3]?.series.key).map(({ series: one }) => one.labels.n)).toEqual(["inf", "nan"]);
    expect(shownReadings(all, 2, undefined)).toHaveLength(2);
  });

  test("stacked: running sums, a gap stays one", () => {
    expect(stack(series.slice(0, 2), 5)).toEqual([[1, 1, null, null, null], [4, null, null, null, null]]);
  });
});

describe("legend", () => {
  const { series } = graph([
    { metric: { n: "a10" }, values: [[1000, "1"]] },
    { metric: { n: "a9" }, values: [[1000, "2"]] },
    { metric: { n: "b" }, values: [] },
  ]);
  const [first = "", second = ""] = series.map(({ key }) => key);

  test("one alone, and all again", () => {
    const one = isolated(undefined, first);
    expect([...(one ?? [])]).toEqual([first]);
    expect(isolated(one, first)).toBeUndefined();
    expect([...(isolated(one, second) ?? [])]).toEqual([second]);
  });

  test("one more and one less; none would be all", () => {
    expect(toggled(undefined, first, series)?.has(second)).toBe(true);
    expect(toggled(undefined, first, series)?.has(first)).toBe(false);
    expect(toggled(new Set([first]), first, series)).toBeUndefined();
  });

  test("sorted by a number, what has none last; names by their numbers", () => {
    const order = (by: "name" | "max", descending: boolean) => sorted(series, { by, descending }).map(({ labels }) => labels.n);
    expect(order("max", true)).toEqual(["a9", "a10", "b"]);
    expect(order("max", false)).toEqual(["a10", "a9", "b"]);
    expect(order("name", false)).toEqual(["a9", "a10", "b"]);
    expect(nextSorting({ by: "max", descending: false }, "max")).toBeUndefined();
  });
});

describe("exemplars", () => {
  const answer = {
    seriesLabels: { __name__: "x_seconds_bucket", le: "1" },
    exemplars: [
      { labels: { trace_id: "abc", span_id: "12" }, value: "0.5", timestamp: 1600.5 },
      { labels: { note: "none" }, value: "0.1", timestamp: 1601 },
      { labels: { traceID: "def" }, value: "NaN", timestamp: 1602 },
    ],
  };

  test("the trace by any of its usual names; several buckets of one measurement are one", () => {
    const other = { ...answer, seriesLabels: { __name__: "x_seconds_bucket", le: "2" }, exemplars: answer.exemplars.slice(0, 1) };
    const { shown, found } = toExemplars([answer, other]);
    expect(found).toBe(2);
    expect(shown.map(({ time, value, unit, trace, span }) => ({ time, value, unit, trace, span }))).toEqual([
      { time: 1_600_500, value: 0.5, unit: "seconds", trace: "abc", span: "12" },
      { time: 1_601_000, value: 0.1, unit: "seconds", trace: undefined, span: undefined },
    ]);
  });

  test("of too many the highest are shown", () => {
    const exemplars = Array.from({ length: MOST_EXEMPLARS + 5 }, (_, n) => ({ labels: { trace_id: String(n) }, value: String(n), timestamp: n }));
    const { shown, found } = toExemplars([{ seriesLabels: {}, exemplars }]);
    expect([shown.length, found, shown[0]?.trace]).toEqual([MOST_EXEMPLARS, MOST_EXEMPLARS + 5, "5"]);
  });
});
