// What is made of patterns: their search, the range compared with, the order.
import { describe, expect, test } from "vitest";
import type { Pattern } from "../../api/types";
import { terms } from "../../query/terms";
import { baseline, byChange, patternParts, patternSearch, ratio } from "./patterns";

describe("the search for a pattern", () => {
  test.each([
    ["user <_> logged in", "/(?s)^user .+ logged in$/"],
    ["GET /api/<_>?x=1 (<_>)", "/(?s)^GET \\/api\\/.+\\?x=1 \\(.+\\)$/"],
    ["a\\b\n\t<_>", "/(?s)^a\\\\b\\n\\t.+$/"],
  ])("%s", (pattern, search) => {
    expect(patternSearch(pattern)).toBe(search);
    expect(terms(search).map((term) => term.form)).toEqual(["regex"]);
  });

  test("a pattern too long for an expression is searched by its beginning", () => {
    const search = patternSearch(`start <_> ${"ö".repeat(600)} <_>`);
    expect(search).toBe("/(?s)^start .+/");
  });
});

test("variable parts are told from the text", () => {
  expect(patternParts("<_> to <_>!").map(({ text, variable }) => (variable ? "*" : text))).toEqual(["*", " to ", "*", "!"]);
});

describe("the range compared with", () => {
  const range = { start: 1_000_000_000_000, end: 1_000_000_900_000 };
  test.each([
    ["", undefined],
    ["before", { start: range.start - 900_000, end: range.start }],
    ["1d", { start: range.start - 86_400_000, end: range.end - 86_400_000 }],
    ["now-2h/now-1h", { start: 992_800_000, end: 996_400_000 }],
  ])("%s", (compare, expected) => {
    expect(baseline(compare, range, 1_000_000_000)).toEqual(expected);
  });

  test("says what is wrong with any other text", () => {
    expect(baseline("yesterday", range, 0)).toContain('"yesterday"');
    expect(baseline("now/now-1h", range, 1e12)).toBe("the range ends before it begins");
    expect(baseline("9999d", { start: 5, end: 6 }, 0)).toContain("before 1970");
  });
});

function pattern(count: number, before: number, change: Pattern["change"]): Pattern {
  return { pattern: "", count: String(count), severity: {}, first: null, last: null, samples: [], baseline: String(before), change };
}

test("new and gone come first, then what changed, the most frequent before others", () => {
  const all = [pattern(9, 9, "same"), pattern(1, 0, "new"), pattern(0, 50, "gone"), pattern(5, 0, "new"), pattern(8, 1, "more")];
  expect(all.sort(byChange).map(({ count, change }) => `${change} ${count}`)).toEqual(["new 5", "new 1", "gone 0", "more 8", "same 9"]);
});

test("a ratio says how a count compares, and nothing where there is none", () => {
  expect([ratio(pattern(25, 10, "more")), ratio(pattern(3000, 10, "more")), ratio(pattern(1, 4, "less")), ratio(pattern(1, 0, "new"))]).toEqual([
    "×2.5",
    "×300",
    "−75%",
    "",
  ]);
});
