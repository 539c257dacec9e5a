// Edits a search for the filter buttons: adds a term with right quoting, turns
// an opposite one round, and never adds a term twice.
import { hasOuterOr, terms } from "./terms";

export type Polarity = "for" | "out";

/** The term that matches exactly this value of this field. */
export function term(field: string, value: string): string {
  return `${quoteField(field)}:${quoteValue(value)}`;
}

export function addFilter(query: string, field: string, value: string, polarity: Polarity): string {
  const wanted = polarity === "for" ? term(field, value) : `NOT ${term(field, value)}`;
  const current = query.trim();
  if (current === "") return wanted;
  if (hasOuterOr(current)) return `(${current}) AND ${wanted}`;
  const same = terms(current).find(
    (t) => t.field === field && t.value === value && t.comparison === undefined && !t.prefix,
  );
  if (same === undefined) return `${current} AND ${wanted}`;
  if (same.negated === (polarity === "out")) return current;
  return current.slice(0, same.from) + wanted + current.slice(same.to);
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
