// Reading and editing searches, and mapping server positions into the editor.
import { describe, expect, test } from "vitest";
import { addExists, addFilter, removeTerm, term } from "./edit";
import { highlightPattern, segments } from "./highlight";
import { lex } from "./lex";
import { utf16Span } from "./position";
import { hasOuterOr, terms } from "./terms";

describe("lex", () => {
  test.each([
    ["timeout", "word:timeout"],
    ['"no route" to', 'phrase:"no route" | word:to'],
    ["service:api-2", "field:service: | word:api-2"],
    ["status:>=500", "field:status: | comparison:>= | word:500"],
    ["a AND NOT (b OR c*)", "word:a | and:AND | not:NOT | open:( | word:b | or:OR | word:c* | close:)"],
    ["and or", "word:and | word:or"],
    ["at:10:30", "field:at: | word:10:30"],
    ['"odd key":"a b"', 'field:"odd key": | phrase:"a b"'],
    ['say:"a \\" b"', 'field:say: | phrase:"a \\" b"'],
    ['"open', 'phrase:"open'],
    ["a:", "field:a:"],
    [": b", "word:: | word:b"],
    ["-a -(b) -5 --flag", "not:- | word:a | not:- | open:( | word:b | close:) | word:-5 | word:--flag"],
    ["http://x std::io c:\\dir 10:30", "word:http://x | word:std::io | word:c:\\dir | word:10:30"],
    ['"conn re"*', 'phrase:"conn re"*'],
    ["NOTE ANDY", "word:NOTE | word:ANDY"],
    ["/conn\\w+ (a|b)\\/x/ /api/tasks", "regex:/conn\\w+ (a|b)\\/x/ | word:/api/tasks"],
    ["host:/^web-\\d+$/ path:/api/", "field:host: | regex:/^web-\\d+$/ | field:path: | regex:/api/"],
    ['n:[1 TO *] t:{"a b" TO now-5m]', 'field:n: | range:[1 TO *] | field:t: | range:{"a b" TO now-5m]'],
    ['fu?zy~2 "a b"~3 body:="x"', 'word:fu?zy~2 | phrase:"a b"~3 | field:body: | comparison:= | phrase:"x"'],
    ["s:(a OR b)", "field:s: | open:( | word:a | or:OR | word:b | close:)"],
    ["a: b", "field:a: | word:b"],
    ["", ""],
  ])("%s", (query, expected) => {
    const tokens = lex(query);
    expect(tokens.map((t) => `${t.kind}:${t.text}`).join(" | ")).toBe(expected);
    for (const token of tokens) expect(query.slice(token.from, token.to)).toBe(token.text);
  });

  test("any text comes to an end, and no character is read twice", () => {
    const characters = ['"', "\\", ":", "(", ")", " ", "a", ">", "*", "é", "🦀"];
    for (let seed = 1; seed < 2000; seed += 1) {
      let state = seed;
      const query = Array.from({ length: 12 }, () => {
        state = (state * 1103515245 + 12345) % 2147483648;
        return characters[state % characters.length];
      }).join("");
      let end = 0;
      for (const token of lex(query)) {
        expect(token.from).toBeGreaterThanOrEqual(end);
        expect(token.to).toBeGreaterThan(token.from);
        end = token.to;
      }
    }
  });
});

test("terms know their field, value and negation, groups included", () => {
  const read = terms('a NOT b:"x y" NOT (c -d:>3) e* NOT NOT f g:(h OR i*)', true);
  expect(read.map((t) => `${t.negated ? "!" : ""}${t.field ?? ""}|${t.comparison ?? ""}|${t.value}`)).toEqual([
    "||a",
    "!b||x y",
    "!||c",
    "d|>|3",
    "||e*",
    "||f",
    "g||h",
    "g||i*",
  ]);
});

test("every form of a term is told from the others, a list in brackets as one", () => {
  const read = terms('a b* c~1 "d e"~2 "f g"* h:/i j/ k:[1 TO 2] l:(m OR n) o:*');
  expect(read.map((t) => `${t.form} ${t.value}`)).toEqual([
    "exact a",
    "pattern b*",
    "fuzzy c~1",
    'fuzzy "d e"~2',
    "pattern f g*",
    "regex /i j/",
    "range [1 TO 2]",
    "list (m OR n)",
    "pattern *",
  ]);
});

test("an OR inside brackets is not an outer OR", () => {
  expect(hasOuterOr("a OR b")).toBe(true);
  expect(hasOuterOr("(a OR b) c")).toBe(false);
  expect(hasOuterOr('"a OR b"')).toBe(false);
});

describe("addFilter", () => {
  test.each([
    ["", "service", "api", "for", "service:api"],
    ["timeout", "service", "api", "for", "timeout AND service:api"],
    ["timeout", "service", "api", "out", "timeout AND NOT service:api"],
    ["a OR b", "service", "api", "for", "(a OR b) AND service:api"],
    ["(a OR b)", "service", "api", "for", "(a OR b) AND service:api"],
    ["service:api x", "service", "api", "for", "service:api x"],
    ["service:api x", "service", "api", "out", "NOT service:api x"],
    ["x AND NOT service:api", "service", "api", "for", "x AND service:api"],
    ["x -service:api y", "service", "api", "for", "x service:api y"],
    ["", "note", "", "for", 'note:""'],
    ["service:ap*", "service", "ap", "for", "service:ap* AND service:ap"],
    ["n:>=5", "n", "5", "for", "n:>=5 AND n:5"],
    ["", "path", "/tasks/7?x=1", "for", 'path:"/tasks/7?x=1"'],
    ["", "odd key", 'say "hi" \\ bye', "for", '"odd key":"say \\"hi\\" \\\\ bye"'],
    ["", "m", "two\nlines", "for", 'm:"two\\nlines"'],
    ["", "m", "NOT", "for", 'm:"NOT"'],
    ["", "m", "abc*", "for", 'm:"abc*"'],
    ["", "m", "-5", "for", 'm:"-5"'],
  ] as const)("%s + %s=%s %s", (query, field, value, polarity, expected) => {
    expect(addFilter(query, field, value, polarity)).toBe(expected);
  });

  test.each([
    ["", "user.id", "for", "user.id:*"],
    ["a NOT user.id:*", "user.id", "for", "a user.id:*"],
    ["a OR b", "odd key", "out", '(a OR b) AND NOT "odd key":*'],
  ] as const)("%s + existence of %s %s", (query, field, polarity, expected) => {
    expect(addExists(query, field, polarity)).toBe(expected);
  });

  test.each([
    ["a AND b AND c", "b", "a AND c"],
    ["a AND b", "b", "a"],
    ["a AND b", "a", "b"],
    ["a NOT b c", "b", "a c"],
    ["a", "a", ""],
    ["x:(b c) AND NOT b", "b", "x:(b c)"],
  ])("%s without %s is %s", (query, value, expected) => {
    const found = terms(query).find((t) => t.value === value);
    if (found === undefined) throw new Error("no such term");
    expect(removeTerm(query, found)).toBe(expected);
  });

  test("a term it writes reads back as the same field and value", () => {
    for (const value of ["a", "a b", 'q"q', "back\\slash", "tab\there", "größe 🦀", "AND", "(x)", "a:b", "x*", "", "cr\rlf"]) {
      const [read] = terms(term("some key", value));
      expect(read).toMatchObject({ field: "some key", value, form: "exact", negated: false });
    }
  });
});

describe("highlight", () => {
  const mark = (query: string, text: string) =>
    segments(text, highlightPattern(query))
      .map((s) => (s.mark !== undefined ? `[${s.text}]` : s.text))
      .join("");

  test.each([
    ["", "as it is", "as it is"],
    ["timeout", "Timeout after timeouts", "[Timeout] after timeouts"],
    ["time*", "timeouts in time", "[timeouts] in [time]"],
    ['"no route"', "no  route, route no", "[no  route], route no"],
    ["NOT timeout", "timeout", "timeout"],
    ["service:api body:down", "api down", "api [down]"],
    ["user-42", "for user-42 and user 42", "for [user-42] and [user 42]"],
    ["a.b+c(", "a.b+c a b c", "[a.b+c] [a b c]"],
    ["größe", "Größe: 3", "[Größe]: 3"],
    ["*fused c*n?ct*", "refused, connection", "[refused], [connection]"],
    ["/ref\\w+ by/", "refused by x", "[refused by] x"],
    ["/(?<=unreadable(/", "as it is", "as it is"],
    ["body:(disk OR full)", "disk is full", "[disk] is [full]"],
    ["conection~", "connection", "connection"],
  ])("%s in %s", (query, text, expected) => {
    expect(mark(query, text)).toBe(expected);
  });
});

describe("utf16Span", () => {
  test.each([
    ["ab cd", 3, 2, 3, 5],
    ["größe )", 8, 1, 6, 7],
    ["🦀 x", 5, 1, 3, 4],
    ["🦀", 1, 1, 0, 2],
    ["abc", 3, 0, 3, 3],
    ["abc", 99, 5, 3, 3],
    ["abc", 1, 99, 1, 3],
    ["", 0, 0, 0, 0],
    ["€€", 3, 3, 1, 2],
    ["a b", 1, 0, 1, 1],
  ])("%s at %i+%i", (text, offset, length, from, to) => {
    expect(utf16Span(text, { offset, length })).toEqual({ from, to });
  });
});
