// URL state, bars and fields of the Logs page.
import { describe, expect, test } from "vitest";
import type { LogRecord } from "../api/types";
import { attributeField } from "../query/fieldNames";
import { dragRange, OTHER, slices, toBars, WITHOUT } from "./histogram/bars";
import { messageBlock, messageText, sections } from "./record/fields";
import { DEFAULT_STATE, logsUrl, readState, type LogsState } from "./state";

describe("URL state", () => {
  test("defaults leave nothing in the URL", () => {
    expect(logsUrl(DEFAULT_STATE)).toBe("/ui/logs");
    expect(readState("")).toEqual(DEFAULT_STATE);
  });

  test("every field survives the way through the URL", () => {
    const state: LogsState = {
      mode: "patterns",
      query: 'a & b:"c+d" 🦀 #%',
      range: { from: "2026-01-02T03:04:05.000Z", to: "now" },
      order: "oldest",
      record: "12:34",
      tab: "context",
      columns: [
        { field: "odd, ~name%", width: 180 },
        { field: "body", width: undefined },
      ],
      wrap: true,
      roomy: true,
      histogram: false,
      by: "",
      compare: "7d",
      refresh: 10,
    };
    expect(readState(new URL(logsUrl(state), "http://x").search)).toEqual(state);
  });

  test("unknown values fall back to their defaults", () => {
    expect(readState("?order=upwards&refresh=7&wrap=yes&view=sideways&tab=x&density=odd&columns=,,")).toEqual(DEFAULT_STATE);
  });
});

describe("bars", () => {
  const response = {
    step_ms: 1000,
    buckets: [
      { start: "2026-01-02T03:04:05.000000000Z", counts: { info: 1000, error: "1" }, other: 0 },
      { start: "2026-01-02T03:04:06.000000000Z", counts: { INFO: 3, odd: 2 }, other: 0 },
    ],
  };

  test("counts add up by level, unknown names as unset", () => {
    const { bars, series, total, highest } = toBars(response, "severity");
    expect([total, highest]).toEqual([1006, 1001]);
    expect(series.map((one) => [one.value, one.total])).toEqual([["error", 1], ["info", 1003], ["unset", 2]]);
    expect(bars[0]?.end).toBe(Date.parse("2026-01-02T03:04:06Z"));
  });

  test("one error among a thousand records is visible and lies at the bottom", () => {
    const { bars, series, highest } = toBars(response, "severity");
    const [bar] = bars;
    if (bar === undefined) throw new Error("no bar");
    const drawn = slices(bar, series, highest, 100);
    expect(drawn[0]).toMatchObject({ series: { value: "error" }, bottom: 0 });
    expect(drawn[0]?.height).toBeGreaterThan(1.9);
    const top = drawn.at(-1);
    expect((top?.bottom ?? 0) + (top?.height ?? 0)).toBeCloseTo(100);
  });

  test("by another field: eight values have a colour, others are one, records without it are last", () => {
    const names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    const counts = Object.fromEntries(["", ...names].map((name, at) => [name, 100 - at]));
    const { bars, series } = toBars({ step_ms: 1000, buckets: [{ start: "2026-01-02T03:04:05Z", counts, other: 5 }] }, "k");
    expect(series.map((one) => one.name)).toEqual([...names.slice(0, 8), "other values", "without k"]);
    expect(Object.fromEntries(bars[0]?.counts ?? [])).toMatchObject({ a: 99, h: 92, [OTHER]: 91 + 90 + 5, [WITHOUT]: 100 });
  });

  test("by nothing there is one series", () => {
    const { series } = toBars({ step_ms: 1000, buckets: [{ start: "2026-01-02T03:04:05Z", counts: { "": 7 }, other: 0 }] }, "");
    expect(series.map((one) => one.total)).toEqual([7]);
  });

  test("a drag widens to whole buckets, in either direction, inside the range", () => {
    const shown = { start: 5000, end: 65_000 };
    expect(dragRange(12_300, 27_900, 5000, 5000, shown)).toEqual({ start: 10_000, end: 30_000 });
    expect(dragRange(27_900, 12_300, 5000, 5000, shown)).toEqual({ start: 10_000, end: 30_000 });
    expect(dragRange(-100, 99_000, 5000, 0, shown)).toEqual(shown);
  });
});

describe("fields", () => {
  const record: LogRecord = {
    id: "1",
    timestamp: "2026-01-02T03:04:05.123456789Z",
    severity_number: 17,
    severity_text: "ERROR",
    detected_level: "error",
    body: "boom",
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    service: "api",
    resource: { "service.name": "api", "host.name": "a1" },
    scope: { name: "sqlx", version: "" },
    attributes: { "http.status": 500, ok: false, list: [1, 2], big: "9007199254740993", service: "x", none: null },
  };
  const all = sections(record).flatMap((section) => section.fields);
  const filterOf = (name: string, at = 0) => {
    const found = all.filter((field) => field.name === name)[at];
    return found?.value === undefined ? undefined : { field: found.searched, value: found.value };
  };

  test("each scalar field knows the term that finds it", () => {
    expect(filterOf("http.status")).toEqual({ field: "http.status", value: "500" });
    expect(filterOf("ok")).toEqual({ field: "ok", value: "false" });
    expect(filterOf("big")).toEqual({ field: "big", value: "9007199254740993" });
    expect(filterOf("host.name")).toEqual({ field: "resource.host.name", value: "a1" });
    expect(filterOf("service.name")).toEqual({ field: "service", value: "api" });
    expect(filterOf("severity")).toEqual({ field: "severity", value: "error" });
    expect(filterOf("name")).toEqual({ field: "scope_name", value: "sqlx" });
  });

  test("a level that only the text states is told from one that was sent", () => {
    const severity = (number: number, word: string, level: string) => {
      const other = { ...record, severity_number: number, severity_text: word, detected_level: level };
      const found = sections(other).flatMap((section) => section.fields).find(({ name }) => name === "severity");
      return `${found?.value}: ${found?.text}`;
    };
    expect(severity(18, "E", "error")).toBe("error: E (18)");
    expect(severity(24, "", "critical")).toBe("fatal: fatal (24)");
    expect(severity(0, "", "unknown")).toBe("unset: unset (0)");
    expect(severity(0, "", "warn")).toBe("warn: warn by its text (sent: 0)");
    expect(severity(0, "stderr", "error")).toBe("error: error by its text (sent: stderr, 0)");
  });

  test("an attribute named like a fixed field is searched by its full name", () => {
    expect(attributeField("service")).toBe("attr.service");
    expect(attributeField("resource.x")).toBe("attr.resource.x");
    expect(filterOf("service")).toEqual({ field: "attr.service", value: "x" });
    expect(filterOf("service", 1)).toEqual({ field: "service", value: "api" });
  });

  test("arrays and nulls offer no filter; empty scope fields are left out", () => {
    expect(filterOf("list")).toBeUndefined();
    expect(filterOf("none")).toBeUndefined();
    expect(all.some((field) => field.name === "version")).toBe(false);
  });

  test("a message that is JSON is one line in a row and indented in the drawer", () => {
    expect(messageText({ ...record, body: { a: 1 } })).toBe('{"a":1}');
    expect(messageBlock({ ...record, body: '{"a":1}' })).toBe('{\n  "a": 1\n}');
    expect(messageBlock({ ...record, body: "{not json" })).toBe("{not json");
    expect(messageText({ ...record, body: null })).toBe("");
  });
});
