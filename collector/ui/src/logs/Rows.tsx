// The records as a virtualised grid: only the rows in sight exist in the page.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useImperativeHandle, useRef, type KeyboardEvent, type ReactNode, type Ref } from "react";
import type { LogRecord } from "../api/types";
import type { Zone } from "../time/format";
import { Row } from "./Row";
import s from "./Rows.module.css";

export interface RowsHandle {
  /** Brings a row into sight without moving more than needed. */
  reveal: (index: number) => void;
  top: () => void;
}

interface RowsProps {
  records: LogRecord[];
  activeIndex: number;
  zone: Zone;
  withDay: boolean;
  wrap: boolean;
  stale: boolean;
  marked: RegExp | undefined;
  /** Shown behind the last row. */
  footer: ReactNode;
  onOpen: (index: number) => void;
  onMove: (by: -1 | 1) => void;
  /** The last rows came into sight. */
  onEnd: () => void;
  onScrolled: (scrolled: boolean) => void;
  ref: Ref<RowsHandle>;
}

const ROW_PX = 22;
const OVERSCAN = 25;
const NEAR_END = 40;

export function Rows(props: RowsProps) {
  const { records, activeIndex, wrap, onEnd, onOpen, onMove, ref } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: records.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => records[index]?.id ?? index,
    overscan: OVERSCAN,
    scrollPaddingStart: ROW_PX + 4,
  });
  const items = virtual.getVirtualItems();

  useEffect(() => virtual.measure(), [virtual, wrap]);
  const lastShown = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (records.length > 0 && lastShown >= records.length - NEAR_END) onEnd();
  }, [records.length, lastShown, onEnd]);
  useImperativeHandle(ref, () => ({
    reveal: (index) => virtual.scrollToIndex(index, { align: "auto" }),
    top: () => {
      if (scroller.current !== null) scroller.current.scrollTop = 0;
    },
  }));

  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter" && activeIndex >= 0) onOpen(activeIndex);
    else if (event.key === "ArrowDown") onMove(1);
    else if (event.key === "ArrowUp") onMove(-1);
    else return;
    event.preventDefault();
  };
  return (
    <div className={s.frame}>
      <div
        ref={scroller}
        className={s.scroller}
        data-wrap={wrap}
        data-day={props.withDay}
        data-stale={props.stale}
        role="grid"
        aria-label="Log records"
        aria-rowcount={records.length + 1}
        aria-busy={props.stale}
        aria-activedescendant={items.some((item) => item.index === activeIndex) ? rowId(activeIndex) : undefined}
        tabIndex={0}
        onKeyDown={press}
        onScroll={(event) => props.onScrolled(event.currentTarget.scrollTop > ROW_PX)}
      >
        <div className={`${s.row} ${s.head}`} role="row" aria-rowindex={1}>
          <span role="columnheader">Time</span>
          <span role="columnheader">Level</span>
          <span role="columnheader">Service</span>
          <span role="columnheader">Message</span>
        </div>
        <div role="rowgroup" className={s.rows} style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const record = records[item.index];
            if (record === undefined) return null;
            return (
              <Row
                key={item.key}
                id={rowId(item.index)}
                index={item.index}
                record={record}
                active={item.index === activeIndex}
                zone={props.zone}
                withDay={props.withDay}
                marked={props.marked}
                top={item.start}
                measure={wrap ? virtual.measureElement : undefined}
                onOpen={onOpen}
              />
            );
          })}
        </div>
        <div className={s.footer}>{props.footer}</div>
      </div>
    </div>
  );
}

function rowId(index: number): string {
  return `record-${index}`;
}
