// One record: time, level, service, message, and its attributes behind it.
import { memo } from "react";
import type { LogRecord } from "../api/types";
import { segments } from "../query/highlight";
import { rowTime, type Zone } from "../time/format";
import { serverTime } from "../time/range";
import { attributePreview, messageText } from "./fields";
import s from "./Rows.module.css";
import { levelOf } from "./severity";

interface RowProps {
  id: string;
  index: number;
  record: LogRecord;
  active: boolean;
  zone: Zone;
  withDay: boolean;
  marked: RegExp | undefined;
  /** Pixels from the first row. */
  top: number;
  measure: ((element: Element | null) => void) | undefined;
  onOpen: (index: number) => void;
}

/** A row shows so much of a long message; the drawer shows all of it. */
const LONGEST_MESSAGE = 2000;

export const Row = memo(function Row(props: RowProps) {
  const { id, index, record, active, zone, withDay, marked, top, measure, onOpen } = props;
  const level = levelOf(record.severity_number);
  const message = messageText(record).slice(0, LONGEST_MESSAGE);
  return (
    <div
      id={id}
      ref={measure}
      data-index={index}
      className={s.row}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={active}
      data-level={level}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => {
        // Selecting text with the mouse is not a click on the row.
        if (window.getSelection()?.isCollapsed !== false) onOpen(index);
      }}
    >
      <span role="gridcell" className={s.time}>
        {rowTime(serverTime(record.timestamp), zone, withDay)}
      </span>
      <span role="gridcell" className={s.level} title={record.severity_text ?? undefined}>
        {level === "unset" ? "–" : level}
      </span>
      <span role="gridcell" className={s.service} title={record.service ?? undefined}>
        {record.service}
      </span>
      <span role="gridcell" className={s.message}>
        {segments(message, marked).map((segment, at) =>
          segment.marked ? <mark key={at}>{segment.text}</mark> : segment.text,
        )}
        <span className={s.attributes}>{attributePreview(record)}</span>
      </span>
    </div>
  );
});
