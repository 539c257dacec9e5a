// What the same stream logged before and after a record.
import { useLayoutEffect, useRef, type RefObject } from "react";
import type { LogRecord } from "../../api/types";
import { rowTime, sameDay, type Zone } from "../../time/format";
import { serverTime } from "../../time/range";
import { levelOf } from "../severity";
import s from "./Context.module.css";
import { messageText } from "./fields";
import { useSurroundings } from "./useSurroundings";

interface ContextProps {
  record: LogRecord;
  zone: Zone;
  onOpen: (record: LogRecord) => void;
}

const LONGEST_MESSAGE = 500;

export function Context({ record, zone, onOpen }: ContextProps) {
  const around = useSurroundings(record.id);
  const { records } = around;
  const list = useKeptPlace(records[0]?.id);
  const withDay = records.some((other) => !sameDay(serverTime(other.timestamp), serverTime(record.timestamp), zone));

  if (around.error !== undefined && records.length === 0) {
    return (
      <p className={s.problem} role="alert">
        The surrounding records could not be read: {around.error.message}.{" "}
        <button type="button" onClick={around.retry}>
          Try again
        </button>
      </p>
    );
  }
  if (records.length === 0) return <p className={s.note}>Reading…</p>;
  return (
    <div className={s.context}>
      <p className={s.note}>
        {record.service ? `The stream of ${record.service}` : "The record's stream"}, whatever the search is.
      </p>
      {around.warnings.length > 0 && <p className={s.problem}>{around.warnings.join(" ")}</p>}
      <ol ref={list} className={s.list} tabIndex={0} aria-label="Surrounding records">
        <li className={s.more}>
          <button type="button" disabled={!around.hasEarlier || around.loading} onClick={around.loadEarlier}>
            {around.hasEarlier ? "Load earlier" : "Nothing earlier"}
          </button>
        </li>
        {records.map((other) => (
          <li key={other.id}>
            <button
              type="button"
              className={s.record}
              data-level={levelOf(other)}
              aria-current={other.id === record.id ? "true" : undefined}
              onClick={() => onOpen(other)}
            >
              <time dateTime={other.timestamp}>{rowTime(serverTime(other.timestamp), zone, withDay)}</time>
              <span>{messageText(other).slice(0, LONGEST_MESSAGE) || "no message"}</span>
            </button>
          </li>
        ))}
        <li className={s.more}>
          <button type="button" disabled={!around.hasLater || around.loading} onClick={around.loadLater}>
            {around.hasLater ? "Load later" : "Nothing later yet"}
          </button>
        </li>
      </ol>
    </div>
  );
}

/** A list that begins with the record in its middle, and where earlier records push nothing away. */
function useKeptPlace(oldest: string | undefined): RefObject<HTMLOListElement | null> {
  const list = useRef<HTMLOListElement>(null);
  const height = useRef(0);
  useLayoutEffect(() => {
    const current = list.current?.querySelector<HTMLElement>("[aria-current]");
    if (list.current === null || !current) return;
    const { scrollHeight, scrollTop, clientHeight } = list.current;
    const first = height.current === 0;
    list.current.scrollTop = first ? current.offsetTop - clientHeight / 2 : scrollTop + scrollHeight - height.current;
  }, [oldest]);
  useLayoutEffect(() => {
    height.current = list.current?.scrollHeight ?? 0;
  });
  return list;
}
