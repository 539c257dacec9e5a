// URL state, queries and what a series or an error leads to.
import { describe, expect, test } from "vitest";
import { ApiError } from "../api/client";
import { escapedName } from "../api/prometheus";
import { labelStats, matchingNames, metadataOf } from "./browser/labelStats";
import { countLists, queryFor, shareOf, type CountList } from "./cardinality/lists";
import { queryProblem } from "./editor/place";
import { selector, suggestions } from "./editor/selector";
import { behindPoint, logsLink } from "./logsLink";
import { withQuery } from "./queries/edit";
import { DEFAULT_STATE, expressionUrl, metricsUrl, NO_QUERY, readState, type MetricsState } from "./state";
import { bucketText, columnsOf, csv, nextTableSorting, rowsOf, sortedRows, VALUE } from "./table/rows";

describe("URL state", () => {
  test("defaults leave nothing in the URL", () => {
    expect(metricsUrl(DEFAULT_STATE)).toBe("/ui/metrics");
    expect(readState("")).toEqual(DEFAULT_STATE);
  });

  test("every field survives the way through the URL", () => {
    const state: MetricsState = {
      mode: "table",
      queries: [
        { expression: 'sum by (a) (x{b=~"c&d+e"})\n# 🦀', legend: "", on: true },
        { expression: "", legend: "{{a}} & b", on: false },
        { expression: "up", legend: "", on: false },
      ],
      range: { from: "2026-01-02T03:04:05.000Z", to: "now" },
      step: "1m30s",
      drawing: "stacked",
      log: true,
      unit: "bytes",
      exemplars: true,
      metric: "odd.name",
      refresh: 30,
    };
    expect(readState(new URL(metricsUrl(state), "http://x").search)).toEqual(state);
  });

  test("unknown values fall back to their defaults", () => {
    expect(readState("?view=x&draw=x&scale=x&step=0s&refresh=7&off=Z&exemplars=yes")).toEqual(DEFAULT_STATE);
    expect(readState("?step=soon").step).toBe("");
  });

  test("a link from elsewhere needs the expression alone", () => {
    expect(expressionUrl("rate(x[5m]) > 1")).toBe("/ui/metrics?q=rate%28x%5B5m%5D%29+%3E+1");
    expect(readState("?q=up").queries).toEqual([{ ...NO_QUERY, expression: "up" }]);
  });
});

test("another query takes an empty place before it makes a new one", () => {
  const up = { ...NO_QUERY, expression: "up" };
  const other = { ...NO_QUERY, expression: "x" };
  expect(withQuery([NO_QUERY], up)).toEqual([up]);
  expect(withQuery([up, NO_QUERY], other)).toEqual([up, other]);
  expect(withQuery([up], other)).toEqual([up, other]);
});

describe("where the server's error lies", () => {
  const problem = (message: string, query: string) => queryProblem(new ApiError(400, { code: "bad_data", message }), query);

  test.each([
    ['invalid parameter "query": parse error at column 5: unknown function "sumx"', "1 + sumx(a)", "sumx", 'unknown function "sumx"'],
    ['invalid parameter "query": parse error at line 2, column 3: expected )', "sum(a\n  b", "b", "expected )"],
    ['parse error at column 4: "🦀" is odd', '"é"🦀', "🦀", '"🦀" is odd'],
    ["1:7: parse error: unexpected <op:+>", "rate(a+b)", "+", "unexpected <op:+>"],
  ])("%s", (message, query, marked, shown) => {
    const { span, message: said } = problem(message, query);
    expect(said).toBe(shown);
    expect(query.slice(span?.from, span?.to)).toBe(marked);
  });

  test("an end of the query that lacks something, and a message without a place", () => {
    expect(problem('invalid parameter "query": parse error at column 6: expected )', "sum(a").span).toEqual({ from: 5, to: 5 });
    expect(problem("query timed out after 30 s", "up")).toEqual({ message: "query timed out after 30 s", span: undefined });
  });
});

describe("selectors and suggestions", () => {
  test("names that are no identifiers are quoted", () => {
    expect(selector("up")).toBe("up");
    expect(selector("up", [{ label: "job", value: 'a"b\\' }])).toBe('up{job="a\\"b\\\\"}');
    expect(selector("http.requests", [{ label: "k8s.pod", value: "x" }])).toBe('{"http.requests", "k8s.pod"="x"}');
  });

  test.each([
    ["x_total", "counter", "rate(x_total[5m])"],
    ["x_seconds_bucket", "histogram", "histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[5m])))"],
    ["x_seconds", "histogram", "histogram_quantile(0.95, sum(rate(x_seconds[5m])))"],
    ["x_seconds_sum", "histogram", "rate(x_seconds_sum[5m])"],
    ["x_bytes", "gauge", "x_bytes"],
    ["x_count", "gauge", "x_count"],
  ])("%s of type %s begins with %s", (metric, type, expected) => {
    expect(suggestions(metric, type)[0]?.expression).toBe(expected);
  });
});

test("label names in paths are escaped as Prometheus does", () => {
  expect(escapedName("job")).toBe("job");
  expect(escapedName("http.route_x")).toBe("U__http_2e_route__x");
  expect(escapedName("U__x")).toBe("U__U____x");
  expect(escapedName("é")).toBe("U___e9_");
});

test("labels of series: most values first, and how many lack a label", () => {
  const stats = labelStats([
    { __name__: "x", a: "1", b: "u" },
    { __name__: "x", a: "2", b: "u" },
    { __name__: "x", a: "2" },
  ]);
  expect(stats).toEqual([
    { label: "a", values: [{ value: "2", series: 2 }, { value: "1", series: 1 }], without: 0 },
    { label: "b", values: [{ value: "u", series: 2 }], without: 1 },
  ]);
});

test("metadata is found by the metric's name and by its family's", () => {
  const metadata = { x_seconds: ["h"], y_total: ["t"], y: ["g"] };
  expect(metadataOf(metadata, "x_seconds_bucket")).toBe("h");
  expect(metadataOf(metadata, "y_total")).toBe("t");
  expect(metadataOf(metadata, "y")).toBe("g");
  expect(metadataOf(metadata, "z")).toBeUndefined();
});

test("metrics are found by all words, in the name or the description; names that begin so come first", () => {
  const names = ["a_http_x", "http_x", "other"];
  const help = (name: string) => (name === "other" ? "of HTTP" : "");
  expect(matchingNames(names, "http", help)).toEqual(["http_x", "a_http_x", "other"]);
  expect(matchingNames(names, "X http", help)).toEqual(["a_http_x", "http_x"]);
  expect(matchingNames(names, " ", help)).toEqual(names);
});

describe("cardinality", () => {
  test("known lists come first; a list the page does not know is shown as well", () => {
    const lists = countLists({
      headStats: { numSeries: 2 },
      labelsAddedByLabelName: [{ name: "b", value: 1 }],
      memoryInBytesByLabelName: [{ name: "a", value: 2048 }],
      seriesCountByMetricName: [{ name: "x", value: 1 }, { name: "y", value: 3 }],
      seriesCountByLabelValuePair: [],
      newSeriesCountByMetricName: [{ name: "x", value: 0 }],
      note: "text",
    });
    expect(lists.map(({ title }) => title)).toEqual([
      "Metrics with the most series",
      "Labels whose names and values take the most room",
      "Labels added by label name",
    ]);
    expect(lists[0]?.rows.map(({ name }) => name)).toEqual(["y", "x"]);
    expect(lists[1]?.unit).toBe("bytes");
  });

  test("shares: of all series, and of the new ones among the new", () => {
    const list = (key: string, of: CountList["of"] = "metric"): CountList => ({ key, title: "", rows: [], unit: "none", of });
    const stats = { numSeries: 2000, numNewSeries: 200 };
    expect(shareOf(list("seriesCountByMetricName"), 500, stats)).toBe("25.0 %");
    expect(shareOf(list("newSeriesCountByMetricName"), 180, stats)).toBe("90.0 %");
    expect(shareOf(list("seriesCountByMetricName"), 1, stats)).toBe("< 0.1 %");
    expect(shareOf(list("labelValueCountByLabelName", "label"), 1, stats)).toBe("");
    expect(shareOf(list("seriesCountByMetricName"), 1, undefined)).toBe("");
  });

  test("a row leads to a query for it", () => {
    const list: Omit<CountList, "of"> = { key: "", title: "", rows: [], unit: "none" };
    expect(queryFor({ ...list, of: "metric" }, "x.y")).toBe('count({"x.y"})');
    expect(queryFor({ ...list, of: "label" }, "k8s.pod")).toBe('topk(20, count by ("k8s.pod") ({"k8s.pod"!=""}))');
    expect(queryFor({ ...list, of: "pair" }, "a=b=c")).toBe('topk(20, count by (__name__) ({a="b=c"}))');
  });
});

describe("logs behind a series", () => {
  test("the service by its label, else by the job without its namespace", () => {
    const range = { start: 0, end: 60_000 };
    const query = (labels: Record<string, string>) => {
      const link = logsLink(labels, range);
      return link && new URL(link, "http://x").searchParams.get("q");
    };
    expect(query({ service_name: "task api", job: "x" })).toBe('service:"task api"');
    expect(query({ job: "shop/task-api" })).toBe("service:task-api");
    expect(query({ le: "1" })).toBeUndefined();
  });

  test("a point of a rate reaches back over its window", () => {
    expect(behindPoint("rate(x[5m])", 600_000, 15_000)).toEqual({ start: 300_000, end: 615_000 });
    expect(behindPoint("x", 600_000, 15_000)).toEqual({ start: 540_000, end: 615_000 });
  });
});

describe("table", () => {
  const rows = rowsOf(0, {
    resultType: "vector",
    result: [
      { metric: { __name__: "x", b: "2" }, value: [1, "10"] },
      { metric: { __name__: "x", a: 'say "hi"', b: "10" }, value: [1, "NaN"] },
      { metric: { __name__: "x" }, histogram: [1, { count: "4", sum: "5" }] },
      { metric: { __name__: "x", b: "1" }, value: [1, "+Inf"] },
    ],
  });

  test("a column for each label, the metric's name first", () => {
    expect(columnsOf(rows)).toEqual(["__name__", "a", "b"]);
  });

  test("values sort as numbers, labels by number and text", () => {
    const order = (by: string, descending: boolean) => sortedRows(rows, { by, descending }).map(({ labels }) => labels.b);
    // NaN, a histogram by its count, 10, +Inf.
    expect(order(VALUE, false)).toEqual(["10", undefined, "2", "1"]);
    expect(order(VALUE, true)).toEqual(["1", "2", undefined, "10"]);
    expect(order("b", false)).toEqual([undefined, "1", "2", "10"]);
    expect(order("b", true)).toEqual(["10", "2", "1", undefined]);
  });

  test("a head's third click undoes sorting", () => {
    const once = nextTableSorting(undefined, VALUE);
    const twice = nextTableSorting(once, VALUE);
    expect([once?.descending, twice?.descending, nextTableSorting(twice, VALUE)]).toEqual([true, false, undefined]);
  });

  test("CSV quotes what needs it", () => {
    expect(csv(rows.slice(1, 3), ["a", "b"])).toBe('a,b,value\r\n"say ""hi""",10,NaN\r\n,,"{""count"":""4"",""sum"":""5""}"');
  });

  test("scalars, texts and points are rows too", () => {
    expect(rowsOf(1, { resultType: "scalar", result: [1, "2"] })[0]?.cell).toEqual({ kind: "number", text: "2" });
    expect(rowsOf(1, { resultType: "string", result: [1, "two"] })[0]?.cell).toEqual({ kind: "text", text: "two" });
    const matrix = rowsOf(1, { resultType: "matrix", result: [{ metric: {}, values: [[1, "2"], [2, "3"]] }] });
    expect(csv(matrix, [])).toBe('value\r\n"2 @1\n3 @2"');
  });

  test.each([[0, "(1, 2]"], [1, "[1, 2)"], [2, "(1, 2)"], [3, "[1, 2]"]])("borders %i are %s", (borders, expected) => {
    expect(bucketText([borders, "1", "2"])).toBe(expected);
  });
});
