// Columns of the table, a record's values by field, and finding among rows.
import { describe, expect, test } from "vitest";
import type { LogRecord } from "../../api/types";
import { attributePreview } from "../record/fields";
import { fieldText } from "../record/lookup";
import { columnsText, DEFAULT_COLUMNS, moveColumn, readColumns, resizeColumn, toggleColumn, tracks } from "./columns";
import { findPattern, findRows, nextFound, ShownTexts } from "./find";

const names = (columns: readonly { field: string }[]) => columns.map((column) => column.field).join(" ");

describe("columns", () => {
  const four = readColumns("severity,a~90,b,body");

  test("a text reads back as the same columns, whatever the names are", () => {
    const columns = [
      { field: "a,b~c%2C", width: 90 },
      { field: "größe 🦀", width: undefined },
    ];
    expect(readColumns(columnsText(columns))).toEqual(columns);
  });

  test("a name twice, an empty one and a width that is none are left out", () => {
    expect(columnsText(readColumns("a,a~90,,b~wide,c~1"))).toBe("a,b,c~40");
    expect(readColumns("")).toBe(DEFAULT_COLUMNS);
  });

  test("a new column stands before the message; the last one cannot be removed", () => {
    expect(names(toggleColumn(four, "new"))).toBe("severity a b new body");
    expect(names(toggleColumn(four, "a"))).toBe("severity b body");
    expect(names(toggleColumn(readColumns("a"), "a"))).toBe("a");
    expect(names(toggleColumn(readColumns("body,a"), "b"))).toBe("body a b");
  });

  test("moving takes the others along and stays inside", () => {
    expect(names(moveColumn(four, 0, 2))).toBe("a b severity body");
    expect(names(moveColumn(four, 3, 0))).toBe("body severity a b");
    expect(names(moveColumn(four, 1, 99))).toBe("severity b body a");
    expect(moveColumn(four, 9, 0)).toBe(four);
  });

  test("exactly one column takes what is left: the message, or else the last", () => {
    expect(tracks(four)).toBe("52px 90px 160px minmax(320px, 1fr)");
    expect(tracks(resizeColumn(four, "body", 500))).toBe("52px 90px 160px minmax(500px, 1fr)");
    expect(tracks(readColumns("body,a"))).toBe("minmax(320px, 1fr) 160px");
    expect(tracks(readColumns("body~400,a"))).toBe("400px minmax(160px, 1fr)");
  });
});

function record(id: string, body: LogRecord["body"], attributes: LogRecord["attributes"] = {}): LogRecord {
  const timestamp = "2026-01-02T03:04:05.000000000Z";
  return { id, timestamp, severity_number: 17, detected_level: "error", body, service: "api", resource: { "host.name": "a1", k: "r" }, scope: {}, attributes };
}

describe("fields of a record", () => {
  const one = record("1", "boom", { k: "a", user: { id: 7, "full.name": "x" }, list: [1, { a: 2 }], off: false, none: null });

  test.each([
    ["severity", "error"],
    ["body", "boom"],
    ["service", "api"],
    ["k", "a"],
    ["attr.k", "a"],
    ["resource.k", "r"],
    ["host.name", "a1"],
    ["user.id", "7"],
    ["user.full.name", "x"],
    ["list", '[1,{"a":2}]'],
    ["off", "false"],
    ["none", ""],
    ["toString", ""],
    ["user.missing", ""],
  ])("%s is %s", (field, text) => {
    expect(fieldText(one, field)).toBe(text);
  });

  test("the preview at a row's end leaves out what has a column", () => {
    expect(attributePreview(record("1", "", { a: 1, service: "x" }), ["attr.service", "body"])).toBe("a=1");
  });
});

describe("find", () => {
  const rows = [record("1", "Größe (x)"), record("2", "b", { note: "a (X)" }), record("3", "c", { note: "hidden" })];

  const look = (text: string, columns = DEFAULT_COLUMNS) => findRows(rows, new ShownTexts(columns), text);

  test("finds any case in what the columns show, punctuation as written", () => {
    expect(look("(x)")).toEqual([0, 1]);
    expect(look("GRÖSSE")).toEqual([]);
    expect(look("GRÖßE")).toEqual([0]);
    expect(look("note=a")).toEqual([1]);
    expect(look("hidden", readColumns("service"))).toEqual([]);
    expect(look("")).toEqual([]);
    expect("a (X)".replace(findPattern("(x)") ?? /$/, "!")).toBe("a !");
  });

  test("steps go round, from any row", () => {
    expect([nextFound([2, 5], 2, 1), nextFound([2, 5], 5, 1), nextFound([2, 5], -1, 1)]).toEqual([5, 2, 2]);
    expect([nextFound([2, 5], 2, -1), nextFound([2, 5], 4, -1), nextFound([], 4, -1)]).toEqual([5, 2, undefined]);
  });
});
