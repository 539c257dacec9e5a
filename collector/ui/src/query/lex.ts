// Splits a search into tokens, for colouring, highlighting and editing. Whether
// a search is valid is the server's to say: this reads any text without failing.

export type TokenKind =
  | "open"
  | "close"
  | "and"
  | "or"
  | "not" // `NOT`, or the `-` before a term
  | "field" // `name:`, colon included
  | "comparison" // `>=` or `=`, after a field
  | "word" // its wildcards and the `~` of a fuzzy one included
  | "phrase" // quotes included, and the `*` or `~3` behind them
  | "regex" // slashes included
  | "range"; // `[a TO b]`, after a field

export interface Token {
  kind: TokenKind;
  from: number;
  to: number;
  text: string;
}

const SPACE = /\s+/y;
const OPEN = /\(/y;
const CLOSE = /\)/y;
const PHRASE = /"(?:[^"\\]|\\.)*(?:"(?:\*|~\d*)?)?/suy;
const WORD = /(?:[^\s()"\\]|\\.?)+/suy;
// Only when the next slash ends it: /api/tasks is text.
const REGEX = /\/(?:[^/\\]|\\.)+\/(?=[\s()]|$)/suy;
const RANGE = /[[{]\s*(?:"(?:[^"\\]|\\.)*"|[^\s"\]}]+)\s+TO\s+(?:"(?:[^"\\]|\\.)*"|[^\s"\]}]+)\s*[\]}]/suy;
const COMPARISON = />=|<=|>|<|=/y;
const KEYWORD = /(?:AND|OR|NOT)(?=[\s()]|$)/y;
const MINUS = /-(?=[\p{L}_"(@])/uy;
// Colons that belong to text, as in http://, std::io and c:\dir, begin no value.
const FIELD = /(?:[\p{L}_@][\p{L}\p{N}_.\-/@]*|"(?:[^"\\]|\\.)*"):/suy;
const TEXT_AFTER_COLON = /\/\/|:|\\/y;
const KEYWORDS: Record<string, TokenKind> = { AND: "and", OR: "or", NOT: "not" };

export function lex(query: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const length = (pattern: RegExp, from = at) => {
    pattern.lastIndex = from;
    return pattern.exec(query)?.[0].length ?? 0;
  };
  const push = (kind: TokenKind, size: number) => {
    if (size === 0) return false;
    tokens.push({ kind, from: at, to: at + size, text: query.slice(at, at + size) });
    at += size;
    return true;
  };
  const keyword = () => {
    const size = length(KEYWORD);
    return push(KEYWORDS[query.slice(at, at + size)] ?? "word", size);
  };
  const field = () => {
    const size = length(FIELD);
    const quoted = query.charAt(at) === '"';
    if (size === 0 || (!quoted && length(TEXT_AFTER_COLON, at + size) > 0)) return false;
    push("field", size);
    if (!push("range", length(RANGE))) {
      push("comparison", length(COMPARISON));
      text();
    }
    return true;
  };
  const text = () => push("phrase", length(PHRASE)) || push("regex", length(REGEX)) || push("word", length(WORD));

  while (at < query.length) {
    at += length(SPACE);
    if (push("open", length(OPEN)) || push("close", length(CLOSE))) continue;
    if (keyword() || push("not", length(MINUS)) || field()) continue;
    text();
  }
  return tokens;
}
