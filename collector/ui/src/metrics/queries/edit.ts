// Changes a list of queries.
import { MOST_QUERIES, type QueryText } from "../state";

/** With one query more, in the first empty place or behind the last. */
export function withQuery(queries: readonly QueryText[], added: QueryText): QueryText[] {
  const empty = queries.findIndex(({ expression }) => expression.trim() === "");
  if (empty >= 0) return queries.map((query, at) => (at === empty ? { ...added } : query));
  return [...queries, added].slice(0, MOST_QUERIES);
}
