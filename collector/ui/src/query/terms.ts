// The terms of a search that must all hold: what filter buttons edit and what
// highlighting looks for.
import { lex, type Token } from "./lex";

export interface Term {
  /** Undefined for a bare word or phrase. */
  field: string | undefined;
  comparison: string | undefined;
  /** Unquoted, without the `*` of a prefix. */
  value: string;
  prefix: boolean;
  negated: boolean;
  from: number;
  to: number;
}

/** Whether an OR joins the outermost terms, so that adding a term needs brackets. */
export function hasOuterOr(query: string): boolean {
  let depth = 0;
  for (const token of lex(query)) {
    if (token.kind === "open") depth += 1;
    if (token.kind === "close") depth -= 1;
    if (token.kind === "or" && depth === 0) return true;
  }
  return false;
}

/** Terms outside brackets, in order; with `nested`, those inside brackets too. */
export function terms(query: string, nested = false): Term[] {
  const tokens = lex(query);
  const found: Term[] = [];
  let depth = 0;
  let negatedGroups = 0;
  const groups: boolean[] = [];
  for (let i = 0; i < tokens.length; i += 1) {
    const token = tokens[i];
    if (token === undefined) break;
    const nots = notsBefore(tokens, i);
    const negated = nots % 2 === 1;
    if (token.kind === "open") {
      depth += 1;
      groups.push(negated);
      negatedGroups += negated ? 1 : 0;
    } else if (token.kind === "close") {
      depth = Math.max(0, depth - 1);
      negatedGroups -= groups.pop() === true ? 1 : 0;
    } else if (token.kind === "field" || token.kind === "word" || token.kind === "phrase") {
      const term = readTerm(tokens, i, i - nots);
      term.negated = negated !== (negatedGroups % 2 === 1);
      i = term.last;
      if (depth === 0 || nested) found.push(term);
    }
  }
  return found;
}

function notsBefore(tokens: Token[], at: number): number {
  let count = 0;
  while (tokens[at - 1 - count]?.kind === "not") count += 1;
  return count;
}

/** The term at a token, and the index of its last token; `first` is where its NOTs begin. */
function readTerm(tokens: Token[], at: number, first: number): Term & { last: number } {
  let last = at;
  let field: string | undefined;
  let comparison: string | undefined;
  const start = tokens[at];
  if (start?.kind === "field") {
    field = unquote(start.text.slice(0, -1));
    if (tokens[last + 1]?.kind === "comparison") comparison = tokens[(last += 1)]?.text;
    // A value touches what it belongs to; anything after a space is another term.
    const next = tokens[last + 1];
    const touches = next?.from === tokens[last]?.to;
    if (touches && (next?.kind === "word" || next?.kind === "phrase")) last += 1;
  }
  const end = tokens[last];
  const value = end?.kind === "word" || end?.kind === "phrase" ? end.text : "";
  const prefix = /(?:^|[^\\])\*$/.test(value);
  return {
    field,
    comparison,
    value: unquote(prefix ? value.slice(0, -1) : value),
    prefix,
    negated: false,
    from: tokens[first]?.from ?? 0,
    to: end?.to ?? 0,
    last,
  };
}

export function unquote(text: string): string {
  if (!text.startsWith('"')) return text.replace(/\\([\\*"():\- ])/g, "$1");
  const inner = text.slice(1).replace(/"$/, "");
  return inner.replace(/\\(.)/gsu, (_, character: string) => ESCAPES[character] ?? character);
}

const ESCAPES: Record<string, string> = { n: "\n", t: "\t", r: "\r" };
