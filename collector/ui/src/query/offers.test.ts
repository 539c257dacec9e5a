// Where the cursor is in a search, what is offered there, and the searches before.
import { describe, expect, test } from "vitest";
import { EXAMPLES } from "./cheatSheet";
import { lex } from "./lex";
import { placeAt } from "./place";
import { valueSuggestions, wordSuggestions } from "./suggestions";

/** The place of the `|`. */
function at(text: string) {
  const cursor = text.indexOf("|");
  return placeAt(text.slice(0, cursor) + text.slice(cursor + 1), cursor);
}

describe("the place of the cursor", () => {
  test.each([
    ["ser|", undefined, "ser", 0],
    ["a AND ser|", undefined, "ser", 6],
    ["service:|", "service", "", 8],
    ["service:ap| b", "service", "ap", 8],
    ['note:"two wo|', "note", "two wo", 5],
    ['"odd key":x|', "odd key", "x", 10],
    ["status:>=5|", "status", "5", 9],
    ["service:(api OR w|", "service", "w", 16],
    ["service:(|", "service", "", 9],
    ["(a OR ser|", undefined, "ser", 6],
    ["NOT service:a|", "service", "a", 12],
    ["service: |", undefined, "", 9],
    ["service:(a) b|", undefined, "b", 12],
  ])("%s", (text, field, prefix, from) => {
    expect(at(text)).toMatchObject({ field, prefix, from });
  });

  test.each(['"a free phra|', "/an expr/|", "n:[1 TO 2]|"])("nothing is offered in %s", (text) => {
    expect(at(text)).toBeUndefined();
  });
});

describe("offers", () => {
  const fields = [{ name: "odd key", kind: "attribute" as const, types: ["text" as const] }];
  const labels = (offers: { label: string }[]) => offers.map((offer) => offer.label);
  const place = (text: string) => at(text) ?? expect.fail("no place");

  test("fields are quoted as they must be, AND and OR come only behind a term", () => {
    const offers = wordSuggestions(place("|"), fields);
    expect(offers.find((offer) => offer.label === "odd key")?.insert).toBe('"odd key":');
    expect(labels(offers)).not.toContain("AND");
    expect(labels(wordSuggestions(place("a |"), fields))).toContain("AND");
    expect(labels(wordSuggestions(place("a OR |"), fields))).not.toContain("OR");
  });

  test("values are quoted, levels are known, tests are offered before a value only", () => {
    const values = [{ value: "two words", count: "1200" }];
    expect(valueSuggestions(place("note:tw|"), values)).toMatchObject([{ insert: '"two words"', detail: "1,200" }]);
    expect(labels(valueSuggestions(place("severity:>=e|"), []))).toEqual(["error"]);
    expect(labels(valueSuggestions(place("note:|"), values))).toContain("[a TO b]");
    expect(labels(valueSuggestions(place("note:(|"), values))).toEqual(["two words"]);
  });
});

test("every example of the documented syntax is read to its end", () => {
  expect(EXAMPLES.length).toBeGreaterThan(30);
  expect(EXAMPLES.find(({ kind }) => kind === "regular expression")?.example).toBe("/conn\\w+ (refused|reset)/");
  for (const { example, kind, finds } of EXAMPLES) {
    expect([kind, finds]).not.toContain("");
    const text = lex(example).map((token) => token.text).join("").replace(/\s/g, "");
    expect(text).toBe(example.replace(/\s/g, ""));
  }
});
