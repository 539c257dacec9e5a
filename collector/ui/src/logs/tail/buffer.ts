// The records of a live tail, bounded: what is shown, and what waits while the
// reader looks at something else.
import type { LogRecord } from "../../api/types";

export interface TailBuffer {
  /** Oldest first. */
  shown: readonly LogRecord[];
  /** Arrived since the reader stopped following. */
  held: readonly LogRecord[];
  /** Records that the server did not send: the page was too slow. */
  dropped: number;
  /** Records that had to go to make room for newer ones. */
  discarded: number;
  /** How often the connection was lost for so long that records may be missing. */
  gaps: number;
}

export const EMPTY_BUFFER: TailBuffer = { shown: [], held: [], dropped: 0, discarded: 0, gaps: 0 };

/** The most records that are shown, and the most that wait. */
export const MOST = 5000;

/** New records go where the reader looks, or wait. */
export function arrive(buffer: TailBuffer, records: readonly LogRecord[], following: boolean): TailBuffer {
  const grown = [...(following ? buffer.shown : buffer.held), ...records];
  const excess = Math.max(0, grown.length - MOST);
  const kept = excess === 0 ? grown : grown.slice(excess);
  const discarded = buffer.discarded + excess;
  return following ? { ...buffer, shown: kept, discarded } : { ...buffer, held: kept, discarded };
}

/** Shows what has waited. */
export function release(buffer: TailBuffer): TailBuffer {
  if (buffer.held.length === 0) return buffer;
  return { ...arrive(buffer, buffer.held, true), held: [] };
}

/** The records of a new connection's backlog that are not known yet. */
export function unknown(buffer: TailBuffer, backlog: readonly LogRecord[]): LogRecord[] {
  const known = knownIds(buffer);
  return backlog.filter((record) => !known.has(record.id));
}

/**
 * Whether records may be missing before the first one of a new connection: its
 * backlog does not reach back to what is known.
 */
export function leavesGap(buffer: TailBuffer, first: LogRecord | undefined): boolean {
  const known = knownIds(buffer);
  return first !== undefined && known.size > 0 && !known.has(first.id);
}

function knownIds({ shown, held }: TailBuffer): Set<string> {
  return new Set([...shown, ...held].map((record) => record.id));
}
