// The terms of a search that must all hold: what filter buttons and pills edit
// and what highlighting looks for.
import { lex, type Token } from "./lex";

/** How a term's value is meant. */
export type TermForm = "exact" | "pattern" | "fuzzy" | "regex" | "range" | "list";

export interface Term {
  /** Undefined for a bare word or phrase. */
  field: string | undefined;
  comparison: string | undefined;
  form: TermForm;
  /** An exact value or a pattern unquoted; any other form as written. */
  value: string;
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

interface Group {
  negated: boolean;
  /** Of a list such as `field:(a b)`. */
  field: string | undefined;
}

/** Terms outside brackets, in order; with `nested`, those inside brackets instead of lists. */
export function terms(query: string, nested = false): Term[] {
  const tokens = lex(query);
  const found: Term[] = [];
  const groups: Group[] = [];
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token === undefined) break;
    const nots = notsBefore(tokens, at);
    const negated = nots % 2 === 1;
    if (token.kind === "open") {
      groups.push({ negated, field: undefined });
    } else if (token.kind === "close") {
      groups.pop();
    } else if (isTermStart(token)) {
      const { last, ...term } = readTerm(tokens, at, at - nots, query);
      if (nested && term.form === "list") {
        groups.push({ negated, field: term.field });
        at += 1;
        continue;
      }
      at = last;
      const outside = groups.filter((group) => group.negated).length;
      const field = term.field ?? groups.findLast((group) => group.field !== undefined)?.field;
      if (groups.length === 0 || nested) found.push({ ...term, field, negated: negated !== (outside % 2 === 1) });
    }
  }
  return found;
}

function isTermStart({ kind }: Token): boolean {
  return kind === "field" || isValue(kind);
}

function isValue(kind: Token["kind"] | undefined): boolean {
  return kind === "word" || kind === "phrase" || kind === "regex" || kind === "range";
}

function notsBefore(tokens: Token[], at: number): number {
  let count = 0;
  while (tokens[at - 1 - count]?.kind === "not") count += 1;
  return count;
}

/** The term at a token, and the index of its last token; `first` is where its NOTs begin. */
function readTerm(tokens: Token[], at: number, first: number, query: string): Term & { last: number } {
  let last = at;
  let field: string | undefined;
  let comparison: string | undefined;
  let isList = false;
  const start = tokens[at];
  if (start?.kind === "field") {
    field = unquote(start.text.slice(0, -1));
    if (tokens[last + 1]?.kind === "comparison") comparison = tokens[(last += 1)]?.text;
    // A value touches what it belongs to; anything after a space is another term.
    const next = tokens[last + 1];
    const touches = next?.from === tokens[last]?.to;
    isList = touches && next?.kind === "open";
    if (isList) last = closing(tokens, last + 1);
    else if (touches && isValue(next?.kind)) last += 1;
  }
  const from = tokens[first]?.from ?? 0;
  const to = tokens[last]?.to ?? 0;
  const value = tokens[last];
  const read = isList ? { form: "list" as const, value: query.slice(start?.to, to) } : readValue(value);
  return { field, comparison, ...read, negated: false, from, to, last };
}

function closing(tokens: Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at += 1) {
    const kind = tokens[at]?.kind;
    if (kind === "open") depth += 1;
    if (kind === "close") depth -= 1;
    if (depth === 0) return at;
  }
  return tokens.length - 1;
}

function readValue(token: Token | undefined): { form: TermForm; value: string } {
  if (token === undefined || !isValue(token.kind)) return { form: "exact", value: "" };
  const { kind, text } = token;
  if (kind === "regex" || kind === "range") return { form: kind, value: text };
  if (/[^\\]~\d?$/.test(text)) return { form: "fuzzy", value: text };
  const wildcard = kind === "word" ? /(?:^|[^\\])[*?]/.test(text) : /[^\\]"\*$/.test(text);
  if (!wildcard) return { form: "exact", value: unquote(text) };
  const end = text.endsWith("*") ? "*" : "";
  return { form: "pattern", value: unquote(text.slice(0, text.length - end.length)) + end };
}

export function unquote(text: string): string {
  if (!text.startsWith('"')) return text.replace(/\\([\\*?"():\-~/[\]{} ])/g, "$1");
  const inner = text.slice(1).replace(/"$/, "");
  return inner.replace(/\\(.)/gsu, (_, character: string) => ESCAPES[character] ?? character);
}

const ESCAPES: Record<string, string> = { n: "\n", t: "\t", r: "\r" };
