// What is being written where the cursor is: a word that may become a field, or
// the value of a field.
import { lex, type Token } from "./lex";
import { unquote } from "./terms";

export interface Place {
  /** The field whose value is being written; undefined where a term begins. */
  field: string | undefined;
  /** Behind a `>=` or its like. */
  compared: boolean;
  /** In the brackets of `field:(…)`. */
  inList: boolean;
  /** Where what is being written begins. */
  from: number;
  /** What is written so far, unquoted. */
  prefix: string;
  /** A finished term stands before it, so that AND and OR may follow. */
  afterTerm: boolean;
}

/** Undefined where nothing can be offered: in a free phrase, an expression or a range. */
export function placeAt(query: string, cursor: number): Place | undefined {
  const tokens = lex(query.slice(0, cursor));
  const last = tokens.at(-1);
  const touches = last?.to === cursor && last.kind !== "open" && last.kind !== "close";
  const written = touches && (last.kind === "word" || last.kind === "phrase") ? last : undefined;
  if (touches && (last.kind === "regex" || last.kind === "range")) return undefined;
  const before = tokens.slice(0, tokens.length - (written === undefined ? 0 : 1));
  const from = written?.from ?? cursor;
  const prefix = unquote(written?.text ?? "");
  const owner = ownerOf(before, from);
  const list = owner === undefined ? listField(before) : undefined;
  if (written?.kind === "phrase" && owner === undefined && list === undefined) return undefined;
  return {
    field: owner?.field ?? list,
    compared: owner?.compared ?? false,
    inList: list !== undefined,
    from,
    prefix,
    afterTerm: endsTerm(before.at(-1)),
  };
}

/** The field directly before a value. */
function ownerOf(tokens: Token[], from: number): { field: string; compared: boolean } | undefined {
  let at = tokens.length - 1;
  if (tokens[at]?.to !== from) return undefined;
  const compared = tokens[at]?.kind === "comparison";
  if (compared) at -= 1;
  const token = tokens[at];
  return token?.kind === "field" ? { field: nameOf(token), compared } : undefined;
}

/** The field of the innermost open bracket, if it is that of a list. */
function listField(tokens: Token[]): string | undefined {
  let depth = 0;
  for (let at = tokens.length - 1; at >= 0; at -= 1) {
    const kind = tokens[at]?.kind;
    if (kind === "close") depth += 1;
    if (kind === "open" && depth > 0) depth -= 1;
    else if (kind === "open") {
      const field = tokens[at - 1];
      return field?.kind === "field" && field.to === tokens[at]?.from ? nameOf(field) : undefined;
    }
  }
  return undefined;
}

function nameOf(field: Token): string {
  return unquote(field.text.slice(0, -1));
}

function endsTerm(token: Token | undefined): boolean {
  return token !== undefined && !["open", "and", "or", "not", "field", "comparison"].includes(token.kind);
}
