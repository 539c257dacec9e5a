// Edits a search for the filter buttons: adds a term with right quoting, turns
// an opposite one round, and never adds a term twice.
import { hasOuterOr, terms, type Term } from "./terms";

export type Polarity = "for" | "out";

/** The term that matches exactly this value of this field. */
export function term(field: string, value: string): string {
  return `${quoteField(field)}:${quoteValue(value)}`;
}

export function addFilter(query: string, field: string, value: string, polarity: Polarity): string {
  const same = (t: Term) => t.field === field && t.value === value && t.comparison === undefined && t.form === "exact";
  return addTerm(query, term(field, value), same, polarity);
}

/** Only records that have the field, or that do not. */
export function addExists(query: string, field: string, polarity: Polarity): string {
  const same = (t: Term) => t.field === field && t.value === "*" && t.comparison === undefined && t.form === "pattern";
  return addTerm(query, `${quoteField(field)}:*`, same, polarity);
}

/** Adds any text that is a search of its own. */
export function addText(query: string, text: string, polarity: Polarity): string {
  const current = query.trim();
  const wanted = polarity === "for" ? text : `NOT (${text})`;
  if (current === "") return wanted;
  return `${hasOuterOr(current) ? `(${current})` : current} AND ${wanted}`;
}

function addTerm(query: string, text: string, isSame: (term: Term) => boolean, polarity: Polarity): string {
  const wanted = polarity === "for" ? text : `NOT ${text}`;
  const current = query.trim();
  if (current === "") return wanted;
  if (hasOuterOr(current)) return `(${current}) AND ${wanted}`;
  const same = terms(current).find(isSame);
  if (same === undefined) return `${current} AND ${wanted}`;
  if (same.negated === (polarity === "out")) return current;
  return current.slice(0, same.from) + wanted + current.slice(same.to);
}

/** The search without one of its outermost terms, and without the AND that joined it. */
export function removeTerm(query: string, { from, to }: { from: number; to: number }): string {
  const before = query.slice(0, from).trimEnd();
  const after = query.slice(to).trimStart();
  if (before === "") return after.replace(/^AND(?=[\s(]|$)\s*/, "");
  const rest = before.replace(/(^|[\s)])AND$/, "$1").trimEnd();
  return `${rest} ${after}`.trim();
}

export function quoteField(field: string): string {
  return /^[\p{L}_@][\p{L}\p{N}_.\-/@]*$/u.test(field) ? field : quote(field);
}

export function quoteValue(value: string): string {
  return /^[\p{L}\p{N}_][\p{L}\p{N}_.\-/@]*$/u.test(value) && !isKeyword(value) ? value : quote(value);
}

function isKeyword(text: string): boolean {
  return /^(and|or|not)$/i.test(text);
}

function quote(text: string): string {
  const escaped = text
    .replace(/[\\"]/g, "\\$&")
    .replace(/\n/g, "\\n")
    .replace(/\r/g, "\\r")
    .replace(/\t/g, "\\t");
  return `"${escaped}"`;
}
