// Marks in a message the words that the search asked for.
import { terms, type Term } from "./terms";

export interface Segment {
  text: string;
  /** What asked for it: the search, or the find bar. */
  mark: "search" | "find" | undefined;
}

const WORD = "[\\p{L}\\p{N}_]";
const GAP = "[^\\p{L}\\p{N}_]+";

/**
 * A pattern for every bare or `body:` word, phrase and expression that must be
 * present. Fuzzy words are not marked: what they match is the server's to say.
 */
export function highlightPattern(query: string): RegExp | undefined {
  const alternatives = terms(query, true)
    .filter((t) => !t.negated && (t.comparison === undefined || t.comparison === "="))
    .filter((t) => t.field === undefined || t.field === "body")
    .map(pattern)
    .filter((text) => text !== "")
    .sort((a, b) => b.length - a.length);
  if (alternatives.length === 0) return undefined;
  return new RegExp(alternatives.join("|"), "giu");
}

function pattern({ form, value }: Term): string {
  if (form === "regex") return expression(value.slice(1, -1));
  if (form !== "exact" && form !== "pattern") return "";
  const parts = value.match(new RegExp(`(?:${WORD}|[*?])+`, "gu")) ?? [];
  if (parts.every((part) => /^[*?]+$/.test(part))) return "";
  const words = parts.map((part) => (form === "exact" ? part.replace(/[*?]/g, "") : wildcards(part)));
  return `(?<!${WORD})${words.filter((word) => word !== "").join(GAP)}(?!${WORD})`;
}

function wildcards(word: string): string {
  return word.replace(/\*+/g, `${WORD}*`).replace(/\?/g, `(?:${WORD}|[^\\p{L}\\p{N}_])`);
}

/** A server's expression that the browser does not read marks nothing. */
function expression(source: string): string {
  // An empty match would mark nothing, but at every place.
  const text = `(?=[^])(?:${source.replace(/^\(\?i\)/, "")})`;
  try {
    return new RegExp(text, "giu").test("") ? "" : text;
  } catch {
    return "";
  }
}

/** The text in pieces, each with its mark; the find bar's marks come before the search's. */
export function segments(text: string, search: RegExp | undefined, find?: RegExp): Segment[] {
  return split(text, find, "find").flatMap((segment) =>
    segment.mark === undefined ? split(segment.text, search, "search") : [segment],
  );
}

function split(text: string, pattern: RegExp | undefined, mark: "search" | "find"): Segment[] {
  if (pattern === undefined) return [{ text, mark: undefined }];
  const found: Segment[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) found.push({ text: text.slice(end, match.index), mark: undefined });
    found.push({ text: match[0], mark });
    end = match.index + match[0].length;
  }
  if (end < text.length) found.push({ text: text.slice(end), mark: undefined });
  return found;
}
