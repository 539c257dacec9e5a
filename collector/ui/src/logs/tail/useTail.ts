// Follows the records that match a query as they arrive, over lost connections.
import { useCallback, useEffect, useEffectEvent, useRef, useState } from "react";
import { asApiError, type ApiError } from "../../api/client";
import { readEvents, type ServerEvent } from "../../api/events";
import { tailAddress } from "../../api/logs";
import type { Dropped, LogRecord } from "../../api/types";
import { arrive, EMPTY_BUFFER, leavesGap, release, unknown, type TailBuffer } from "./buffer";

export type Connection = "connecting" | "open" | "lost" | "failed";

export interface Tail {
  buffer: TailBuffer;
  connection: Connection;
  /** Why it failed; trying again is of no use. */
  error: ApiError | undefined;
  clear: () => void;
}

const BACKLOG = 100;
const SHOW_EVERY_MS = 150;
const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 15_000;

/**
 * While `following` is false, records wait; those shown stay as they are. Without a
 * query nothing is followed.
 */
export function useTail(query: string | undefined, following: boolean): Tail {
  const [buffer, setBuffer] = useState(EMPTY_BUFFER);
  const [connection, setConnection] = useState<Connection>("connecting");
  const [error, setError] = useState<ApiError>();
  const arrived = useRef<{ records: LogRecord[]; dropped: number }>({ records: [], dropped: 0 });
  /** How many records of a new connection may be known already. */
  const backlog = useRef(0);

  const show = useEffectEvent(() => {
    const { records, dropped } = arrived.current;
    if (records.length === 0 && dropped === 0) return;
    arrived.current = { records: [], dropped: 0 };
    const isFirst = backlog.current === BACKLOG;
    const mayBeKnown = backlog.current > 0;
    backlog.current = Math.max(0, backlog.current - records.length);
    setBuffer((before) => {
      const gaps = before.gaps + (isFirst && leavesGap(before, records[0]) ? 1 : 0);
      const fresh = mayBeKnown ? unknown(before, records) : records;
      return { ...arrive(before, fresh, following), dropped: before.dropped + dropped, gaps };
    });
  });

  // Another query begins with nothing.
  const [current, setCurrent] = useState(query);
  if (current !== query) {
    setCurrent(query);
    setBuffer(EMPTY_BUFFER);
    setConnection("connecting");
    setError(undefined);
  }

  // What has waited is shown as soon as the reader follows again.
  if (following && buffer.held.length > 0) setBuffer(release(buffer));

  useEffect(() => {
    if (query === undefined) return undefined;
    arrived.current = { records: [], dropped: 0 };
    const stop = new AbortController();
    const timer = setInterval(show, SHOW_EVERY_MS);
    void follow(query, stop.signal, {
      opened: () => {
        backlog.current = BACKLOG;
        setConnection("open");
      },
      event: (event) => take(arrived.current, event),
      lost: () => setConnection("lost"),
      failed: (reason) => {
        setError(reason);
        setConnection("failed");
      },
    });
    return () => {
      clearInterval(timer);
      stop.abort();
    };
  }, [query]);

  const clear = useCallback(() => setBuffer(EMPTY_BUFFER), []);
  return { buffer, connection, error, clear };
}

function take(into: { records: LogRecord[]; dropped: number }, { event, data }: ServerEvent): void {
  if (event === "record") into.records.push(JSON.parse(data) as LogRecord);
  if (event === "dropped") into.dropped += (JSON.parse(data) as Dropped).count;
}

interface Listener {
  opened: () => void;
  event: (event: ServerEvent) => void;
  lost: () => void;
  failed: (reason: ApiError) => void;
}

/** Connects again and again, waiting longer each time, until stopped or refused. */
async function follow(query: string, stop: AbortSignal, listener: Listener): Promise<void> {
  let delay = FIRST_DELAY_MS;
  const opened = () => {
    delay = FIRST_DELAY_MS;
    listener.opened();
  };
  for (;;) {
    try {
      await readEvents(tailAddress(query, BACKLOG), stop, opened, listener.event);
    } catch (error) {
      if (isOver(stop)) return;
      const reason = asApiError(error);
      if (!reason.temporary) {
        listener.failed(reason);
        return;
      }
    }
    if (isOver(stop)) return;
    listener.lost();
    await pause(delay, stop);
    if (isOver(stop)) return;
    delay = Math.min(LONGEST_DELAY_MS, delay * 2);
  }
}

/** Asked anew each time: it changes while one waits. */
function isOver(stop: AbortSignal): boolean {
  return stop.aborted;
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stop.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
