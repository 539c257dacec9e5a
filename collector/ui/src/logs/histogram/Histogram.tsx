// Records over time by level or another field. Hovering tells the counts, dragging zooms.
import { useEffect, useState, type PointerEvent } from "react";
import { axisTicks, dayTime, type Zone } from "../../time/format";
import type { TimeRange } from "../../time/range";
import { useWidth } from "../../widgets/useWidth";
import { dragRange, slices, type Bar, type Bars, type Series } from "./bars";
import s from "./Histogram.module.css";

interface HistogramProps {
  bars: Bars | undefined;
  range: TimeRange;
  zone: Zone;
  stale: boolean;
  onZoom: (range: TimeRange) => void;
}

const HEIGHT = 72;
const CLICK_PX = 4;
const LABEL_PX = 56;

export function Histogram({ bars, range, zone, stale, onZoom }: HistogramProps) {
  const { ref, width } = useWidth();
  const [pointer, setPointer] = useState<number>();
  const [dragFrom, setDragFrom] = useState<number>();
  const length = range.end - range.start;
  const x = (time: number) => ((time - range.start) / length) * width;
  const timeAt = (px: number) => range.start + (Math.min(width, Math.max(0, px)) / width) * length;
  const first = bars?.bars[0];
  const hovered =
    pointer === undefined ? undefined : bars?.bars.find((bar) => within(bar, timeAt(pointer)));
  const dragging =
    dragFrom !== undefined && pointer !== undefined && Math.abs(pointer - dragFrom) > CLICK_PX;

  useEffect(() => {
    if (dragFrom === undefined) return undefined;
    const cancel = (event: KeyboardEvent) => {
      if (event.key === "Escape") setDragFrom(undefined);
    };
    window.addEventListener("keydown", cancel, { capture: true });
    return () => window.removeEventListener("keydown", cancel, { capture: true });
  }, [dragFrom]);

  const px = (event: PointerEvent<HTMLElement>) =>
    event.clientX - event.currentTarget.getBoundingClientRect().left;
  const release = (event: PointerEvent<HTMLElement>) => {
    const to = px(event);
    const from = dragFrom;
    setDragFrom(undefined);
    if (from === undefined || first === undefined) return;
    if (Math.abs(to - from) <= CLICK_PX && (hovered?.total ?? 0) === 0) return;
    onZoom(dragRange(timeAt(from), timeAt(to), first.end - first.start, first.start, range));
  };

  return (
    <div
      ref={ref}
      className={s.histogram}
      data-stale={stale}
      data-testid="histogram"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        setDragFrom(px(event));
      }}
      onPointerMove={(event) => setPointer(px(event))}
      onPointerUp={release}
      onPointerCancel={() => setDragFrom(undefined)}
      onPointerLeave={() => setPointer(undefined)}
    >
      <svg width={width} height={HEIGHT} role="img" aria-label={summary(bars)}>
        {hovered !== undefined && !dragging && (
          <rect className={s.hovered} x={x(hovered.start)} width={barWidth(hovered, x)} height={HEIGHT} />
        )}
        {bars?.bars.map((bar) => (
          <g key={bar.start}>
            {slices(bar, bars.series, bars.highest, HEIGHT - 4).map((slice) => (
              <rect
                key={slice.series.value}
                x={x(bar.start)}
                y={HEIGHT - slice.bottom - slice.height}
                width={Math.max(1, barWidth(bar, x) - 1)}
                height={slice.height}
                fill={slice.series.fill}
              />
            ))}
          </g>
        ))}
        {dragging && (
          <rect
            className={s.drag}
            x={Math.min(dragFrom, pointer)}
            width={Math.abs(pointer - dragFrom)}
            height={HEIGHT}
          />
        )}
      </svg>
      {bars !== undefined && bars.highest > 0 && (
        <span className={s.highest}>{bars.highest.toLocaleString("en")}</span>
      )}
      <div className={s.axis} aria-hidden="true">
        {axisTicks(range.start, range.end, zone, Math.max(2, Math.floor(width / 110)))
          .filter((tick) => x(tick.at) < width - LABEL_PX)
          .map((tick) => (
            <span key={tick.at} style={{ left: x(tick.at) }}>
              {tick.label}
            </span>
          ))}
      </div>
      {hovered !== undefined && pointer !== undefined && !dragging && (
        <Tooltip bar={hovered} series={bars?.series ?? []} zone={zone} left={Math.min(Math.max(pointer, 100), width - 100)} />
      )}
    </div>
  );
}

interface TooltipProps {
  bar: Bar;
  series: readonly Series[];
  zone: Zone;
  left: number;
}

function Tooltip({ bar, series, zone, left }: TooltipProps) {
  return (
    <div className={s.tooltip} style={{ left }}>
      <div className={s.when}>
        {dayTime(bar.start, zone).slice(5)} – {dayTime(bar.end, zone).slice(11)}
      </div>
      {bar.total === 0 && <div className={s.none}>no records</div>}
      {series.map(({ value, name, fill }) => {
        const count = bar.counts.get(value) ?? 0;
        if (count === 0) return null;
        return (
          <div key={value} className={s.count}>
            <i style={{ background: fill }} />
            <span>{name}</span>
            <b>{count.toLocaleString("en")}</b>
          </div>
        );
      })}
    </div>
  );
}

function within(bar: Bar, time: number): boolean {
  return bar.start <= time && time < bar.end;
}

function barWidth(bar: Bar, x: (time: number) => number): number {
  return x(bar.end) - x(bar.start);
}

function summary(bars: Bars | undefined): string {
  if (bars === undefined) return "Records over time";
  const parts = bars.series.map(({ name, total }) => `${total} ${name}`);
  return `Records over time: ${bars.total} in all${parts.length > 0 ? `, ${parts.join(", ")}` : ""}`;
}
