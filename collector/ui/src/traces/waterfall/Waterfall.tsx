// The spans as a virtualised tree grid, each with a bar at its time: only the rows in
// sight exist in the page.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, type CSSProperties, type KeyboardEvent } from "react";
import { prefer, usePreferences } from "../../app/preferences";
import { formatNanos } from "../../time/duration";
import { ResizeHandle } from "../../widgets/ResizeHandle";
import { useWidth } from "../../widgets/useWidth";
import { ticks } from "../layout";
import type { SpanNode } from "../tree";
import type { TraceView } from "../useTraceView";
import { treeKeys } from "./keys";
import { SpanRow } from "./SpanRow";
import s from "./Waterfall.module.css";

const ROW_PX = 26;
const HEAD_PX = 27;
const OVERSCAN = 12;
const TICK_PX = 110;
const OTHER_COLUMNS_PX = 110;
const NARROWEST_NAMES = 140;
/** As a part of the whole: the bars keep some room. */
const WIDEST_NAMES = 0.6;

export function Waterfall({ view }: { view: TraceView }) {
  const { shown, active, axis } = view;
  const { spanNamesWidth } = usePreferences();
  const { ref: frame, width } = useWidth();
  const scroller = useRef<HTMLDivElement>(null);
  const at = shown.indexOf(active);
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => shown[index]?.key ?? index,
    overscan: OVERSCAN,
    scrollPaddingStart: ROW_PX,
    // The rows begin below the head, which the virtualizer does not know of.
    scrollPaddingEnd: HEAD_PX + ROW_PX,
  });
  const items = virtual.getVirtualItems();
  useInSight(active, (align) => {
    if (at >= 0) virtual.scrollToIndex(at, { align });
  });

  const names = Math.max(NARROWEST_NAMES, Math.min(spanNamesWidth, width === 0 ? spanNamesWidth : Math.round(width * WIDEST_NAMES)));
  const marks = ticks(axis, Math.max(2, Math.floor((width - names - OTHER_COLUMNS_PX) / TICK_PX)));
  const press = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / ROW_PX) - 2);
    const action = treeKeys(view, page)[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  };
  return (
    <div ref={frame} className={s.frame} style={{ "--names": `${names}px` } as CSSProperties}>
      <div
        ref={scroller}
        className={s.scroller}
        role="treegrid"
        aria-label="Spans"
        aria-rowcount={shown.length + 1}
        aria-activedescendant={items.some(({ index }) => index === at) ? rowId(at) : undefined}
        tabIndex={0}
        onKeyDown={press}
      >
        <div role="rowgroup" className={s.top}>
          <div role="row" aria-rowindex={1} className={s.head}>
            <span role="columnheader">Span</span>
            <span role="columnheader" className={s.duration}>
              Duration
            </span>
            <span role="columnheader" className={s.axis}>
              <span className="hidden">Time since the start</span>
              {marks.map((mark) => (
                <span key={mark.at} className={s.tick} style={{ left: `${mark.left}%` }} aria-hidden="true">
                  {mark.at === 0 ? "0" : formatNanos(mark.at)}
                </span>
              ))}
            </span>
          </div>
        </div>
        <div role="rowgroup" className={s.rows} style={{ height: virtual.getTotalSize() }} data-highlighting={view.highlight !== undefined}>
          <div className={s.lines} aria-hidden="true">
            {marks.map((mark) => (
              <i key={mark.at} style={{ left: `${mark.left}%` }} />
            ))}
          </div>
          {items.map(({ index, key, start }) => {
            const node = shown[index];
            return node === undefined ? null : (
              <SpanRow key={key} id={rowId(index)} index={index} top={start} node={node} view={view} />
            );
          })}
        </div>
      </div>
      <div className={s.edge}>
        <ResizeHandle
          name="Width of the spans' names"
          side="right"
          width={names}
          narrowest={NARROWEST_NAMES}
          onResize={(to) => prefer({ spanNamesWidth: to })}
        />
      </div>
    </div>
  );
}

/** Scrolls to the row that the keyboard goes to: first into the middle, then no more than needed. */
function useInSight(active: SpanNode, reveal: (align: "center" | "auto") => void): void {
  const seen = useRef<string>(undefined);
  useEffect(() => {
    if (seen.current === active.key) return;
    reveal(seen.current === undefined ? "center" : "auto");
    seen.current = active.key;
  });
}

function rowId(index: number): string {
  return `span-${index}`;
}
