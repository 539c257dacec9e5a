// Marks in a message the words that the search asked for.
import { terms } from "./terms";

export interface Segment {
  text: string;
  marked: boolean;
}

const WORD = "[\\p{L}\\p{N}_]";
const GAP = "[^\\p{L}\\p{N}_]+";

/** A pattern for every bare word, phrase and `body:` term that must be present. */
export function highlightPattern(query: string): RegExp | undefined {
  const alternatives = terms(query, true)
    .filter((t) => !t.negated && t.comparison === undefined)
    .filter((t) => t.field === undefined || t.field === "body")
    .map((t) => pattern(t.value, t.prefix))
    .filter((text) => text !== "")
    .sort((a, b) => b.length - a.length);
  if (alternatives.length === 0) return undefined;
  return new RegExp(alternatives.join("|"), "giu");
}

function pattern(value: string, prefix: boolean): string {
  const words = value.match(new RegExp(`${WORD}+`, "gu")) ?? [];
  if (words.length === 0) return "";
  const end = prefix ? `${WORD}*` : `(?!${WORD})`;
  return `(?<!${WORD})${words.join(GAP)}${end}`;
}

export function segments(text: string, marked: RegExp | undefined): Segment[] {
  if (marked === undefined) return [{ text, marked: false }];
  const found: Segment[] = [];
  let end = 0;
  for (const match of text.matchAll(marked)) {
    if (match.index > end) found.push({ text: text.slice(end, match.index), marked: false });
    found.push({ text: match[0], marked: true });
    end = match.index + match[0].length;
  }
  if (end < text.length) found.push({ text: text.slice(end), marked: false });
  return found;
}
