// Server positions count UTF-8 bytes; the editor counts UTF-16 units.
import type { BytePosition } from "../api/types";

export interface Span {
  from: number;
  to: number;
}

/**
 * The UTF-16 span of a byte position, widened to whole characters and kept
 * inside the text. An empty position stays empty.
 */
export function utf16Span(text: string, position: BytePosition): Span {
  const last = position.offset + Math.max(0, position.length);
  let bytes = 0;
  let index = 0;
  let from: number | undefined;
  let to: number | undefined;
  for (const character of text) {
    const size = utf8Length(character.codePointAt(0) ?? 0);
    if (from === undefined && bytes + size > position.offset) from = index;
    if (to === undefined && bytes >= last) to = index;
    bytes += size;
    index += character.length;
  }
  from ??= text.length;
  return { from, to: Math.max(from, to ?? text.length) };
}

function utf8Length(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}
