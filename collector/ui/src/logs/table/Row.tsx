// One record as a row: its time, and a cell for each column.
import { memo, type ReactNode } from "react";
import type { LogRecord } from "../../api/types";
import { segments } from "../../query/highlight";
import { rowTime, type Zone } from "../../time/format";
import { serverTime } from "../../time/range";
import { attributePreview, messageText } from "../record/fields";
import { fieldText } from "../record/lookup";
import { levelOf, type Level } from "../severity";
import { MESSAGE, type Column } from "./columns";
import s from "./Rows.module.css";

/** What is marked in the rows. */
export interface Marks {
  /** The words that the search asked for. */
  search: RegExp | undefined;
  /** What is looked for among the loaded rows. */
  find: RegExp | undefined;
}

interface RowProps {
  id: string;
  index: number;
  record: LogRecord;
  active: boolean;
  columns: readonly Column[];
  zone: Zone;
  withDay: boolean;
  marks: Marks;
  /** Pixels from the first row. */
  top: number;
  measure: ((element: Element | null) => void) | undefined;
  onOpen: (index: number) => void;
}

/** A row shows so much of a long value; the drawer shows all of it. */
const LONGEST_TEXT = 2000;

export const Row = memo(function Row(props: RowProps) {
  const { id, index, record, active, columns, zone, withDay, marks, top, measure, onOpen } = props;
  const level = levelOf(record);
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
      {columns.map(({ field }) => (
        <Cell key={field} field={field} record={record} level={level} columns={columns} marks={marks} />
      ))}
    </div>
  );
});

interface CellProps {
  field: string;
  record: LogRecord;
  level: Level;
  columns: readonly Column[];
  marks: Marks;
}

function Cell({ field, record, level, columns, marks }: CellProps) {
  if (field === "severity") {
    return (
      <span role="gridcell" className={s.level} title={record.severity_text ?? undefined}>
        {level === "unset" ? "–" : level}
      </span>
    );
  }
  if (field === MESSAGE) {
    return (
      <span role="gridcell" className={s.message}>
        {marked(messageText(record).slice(0, LONGEST_TEXT), marks)}
        <span className={s.attributes}>
          {marked(attributePreview(record, columns.map((column) => column.field)), { ...marks, search: undefined })}
        </span>
      </span>
    );
  }
  const text = fieldText(record, field).slice(0, LONGEST_TEXT);
  return (
    <span role="gridcell" className={s.value} title={text}>
      {marked(text, { ...marks, search: undefined })}
    </span>
  );
}

function marked(text: string, marks: Marks): ReactNode {
  return segments(text, marks.search, marks.find).map(({ text, mark }, at) =>
    mark === undefined ? (
      text
    ) : (
      <mark key={at} className={mark === "find" ? s.found : undefined}>
        {text}
      </mark>
    ),
  );
}
