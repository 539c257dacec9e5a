// Where in a query the server's parse error lies, read from its message.
import type { ApiError } from "../../api/client";
import type { Span } from "../../query/position";

export interface QueryProblem {
  /** The message without what `span` says. */
  message: string;
  /** UTF-16 units; undefined when the message names no place. */
  span: Span | undefined;
}

/** Ours says `parse error at line 2, column 3: …`, Prometheus says `2:3: parse error: …`. */
const OURS = /^(?:invalid parameter "query": )?parse error at (?:line (\d+), )?column (\d+): /;
const PROMETHEUS = /^(?:invalid parameter "query": )?(\d+):(\d+): parse error: /;

export function queryProblem(error: ApiError, query: string): QueryProblem {
  const match = OURS.exec(error.message) ?? PROMETHEUS.exec(error.message);
  if (match === null) return { message: error.message, span: undefined };
  const from = offsetOf(query, Number(match[1] ?? "1"), Number(match[2]));
  // A word, or one character; nothing at the query's end.
  const marked = /^(?:[\w:.]+|[^])/u.exec(query.slice(from))?.[0] ?? "";
  return { message: error.message.slice(match[0].length), span: { from, to: from + marked.length } };
}

/** The UTF-16 offset of a line and column, both from 1, the column in characters. */
function offsetOf(text: string, line: number, column: number): number {
  const lines = text.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  const inLine = Array.from(lines[line - 1] ?? "").slice(0, column - 1).join("").length;
  return Math.min(text.length, before + inLine);
}
