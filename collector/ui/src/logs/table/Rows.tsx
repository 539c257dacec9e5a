// The records as a virtualised grid: only the rows in sight exist in the page.
import { useVirtualizer } from "@tanstack/react-virtual";
import {
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  type CSSProperties,
  type KeyboardEvent,
  type ReactNode,
  type Ref,
} from "react";
import type { LogRecord } from "../../api/types";
import type { Zone } from "../../time/format";
import { columnWidth, tracks, type Column } from "./columns";
import { Header, type ColumnActions } from "./Header";
import { Row, type Marks } from "./Row";
import s from "./Rows.module.css";

export interface RowsHandle {
  /** Brings a row into sight without moving more than needed. */
  reveal: (index: number) => void;
  top: () => void;
}

/** Where the reader is. */
export interface ScrollPosition {
  /** Away from the first row. */
  scrolled: boolean;
  /** The last row is in sight. */
  atEnd: boolean;
  /** Nearer to the first row than before. */
  upwards: boolean;
}

/** How records are laid out. */
export interface Layout {
  columns: readonly Column[];
  zone: Zone;
  withDay: boolean;
  wrap: boolean;
  roomy: boolean;
}

interface RowsProps {
  records: readonly LogRecord[];
  activeIndex: number;
  layout: Layout;
  stale: boolean;
  marks: Marks;
  columnActions: ColumnActions;
  /** Shown behind the last row. */
  footer: ReactNode;
  onOpen: (index: number) => void;
  onMove: (by: -1 | 1) => void;
  /** Keeps the last row in sight. */
  follow?: boolean;
  /** The last rows came into sight. */
  onEnd?: () => void;
  onScroll: (position: ScrollPosition) => void;
  ref: Ref<RowsHandle>;
}

const ROW_PX = 22;
const ROOMY_ROW_PX = 30;
const HEAD_PX = 25;
const GAP_PX = 10;
const SIDES_PX = 26;
const TIME_PX = { time: 104, dayAndTime: 146 };
const OVERSCAN = 15;
const NEAR_END = 60;
const NEAR_PX = 24;

export function Rows(props: RowsProps) {
  const { records, activeIndex, layout, follow = false, onEnd, onOpen, onMove, ref } = props;
  const { columns, wrap, roomy, zone, withDay } = layout;
  const scroller = useRef<HTMLDivElement>(null);
  const lastTop = useRef(0);
  const virtual = useVirtualizer({
    count: records.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (roomy ? ROOMY_ROW_PX : ROW_PX),
    getItemKey: (index) => records[index]?.id ?? index,
    overscan: OVERSCAN,
    scrollPaddingStart: ROW_PX + 4,
    // The rows begin below the head, which the virtualizer does not know of.
    scrollPaddingEnd: HEAD_PX + ROW_PX,
  });
  const items = virtual.getVirtualItems();
  const style = useMemo(() => trackStyle(columns, withDay), [columns, withDay]);

  useEffect(() => virtual.measure(), [virtual, wrap, roomy, columns]);
  const lastShown = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (records.length > 0 && lastShown >= records.length - NEAR_END) onEnd?.();
  }, [records.length, lastShown, onEnd]);
  useImperativeHandle(ref, () => ({
    reveal: (index) => virtual.scrollToIndex(index, { align: "auto" }),
    top: () => scroller.current?.scrollTo({ top: 0 }),
  }));
  useLayoutEffect(() => {
    if (follow) scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  }, [records, follow]);

  const press = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
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
        style={style}
        data-wrap={wrap}
        data-roomy={roomy}
        data-stale={props.stale}
        role="grid"
        aria-label="Log records"
        aria-rowcount={records.length + 1}
        aria-busy={props.stale}
        aria-activedescendant={items.some((item) => item.index === activeIndex) ? rowId(activeIndex) : undefined}
        tabIndex={0}
        onKeyDown={press}
        onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
          const upwards = scrollTop < lastTop.current;
          const atEnd = scrollHeight - clientHeight - scrollTop < NEAR_PX;
          lastTop.current = scrollTop;
          props.onScroll({ scrolled: scrollTop > ROW_PX, atEnd, upwards });
        }}
      >
        <Header columns={columns} actions={props.columnActions} />
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
                columns={columns}
                zone={zone}
                withDay={withDay}
                marks={props.marks}
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

function trackStyle(columns: readonly Column[], withDay: boolean): CSSProperties {
  const time = withDay ? TIME_PX.dayAndTime : TIME_PX.time;
  const least = columns.reduce((sum, column) => sum + GAP_PX + columnWidth(column), SIDES_PX + time);
  return { "--tracks": `${time}px ${tracks(columns)}`, "--least": `${least}px` } as CSSProperties;
}
