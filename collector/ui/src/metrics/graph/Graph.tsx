// The graph: lines on a canvas, what they are where the pointer is, and exemplars on top.
import { useEffect, useEffectEvent, useRef, useState, type KeyboardEvent } from "react";
import type uPlot from "uplot";
import { useShortcuts } from "../../app/shortcuts";
import type { Zone } from "../../time/format";
import type { TimeRange } from "../../time/range";
import type { Drawing } from "../state";
import { Exemplars } from "./Exemplars";
import type { Exemplar } from "./exemplars";
import s from "./Graph.module.css";
import { createPlot, type Pointer } from "./plot";
import type { GraphData, Series } from "./series";
import { Tooltip } from "./Tooltip";
import { useDark } from "./useDark";

export interface GraphProps {
  data: GraphData;
  /** Those of the data that are shown. */
  series: readonly Series[];
  exemplars: readonly Exemplar[];
  range: TimeRange;
  drawing: Drawing;
  log: boolean;
  zone: Zone;
  width: number;
  stale: boolean;
  /** The series that the legend points at. */
  highlighted: string | undefined;
  /** The way to the logs behind a series at a time, if there is one. */
  logsAt: (series: Series, time: number) => string | undefined;
  onIsolate: (series: Series) => void;
  onZoom: (range: TimeRange) => void;
  onUndo: () => void;
  /** Whether the reader holds on to a point. */
  onHold: (held: boolean) => void;
}

/** Two fifths of the window: room for the legend stays. */
const HEIGHT = Math.round(Math.min(480, Math.max(260, window.innerHeight * 0.4)));

export function Graph(props: GraphProps) {
  const { data, series, range, drawing, log, zone, width, highlighted, onHold } = props;
  const host = useRef<HTMLDivElement>(null);
  const [plot, setPlot] = useState<uPlot>();
  const [drawn, setDrawn] = useState(0);
  const [pointer, setPointer] = useState<Pointer>();
  const [pinned, setPinned] = useState(false);
  const dark = useDark();
  const hold = (held: boolean) => {
    setPinned(held);
    onHold(held);
  };
  const hover = useEffectEvent((at: Pointer | undefined) => {
    if (!pinned) setPointer(at);
  });
  const pick = useEffectEvent((at: Pointer) => {
    setPointer(at);
    hold(!pinned);
  });
  const zoom = useEffectEvent(props.onZoom);
  const undo = useEffectEvent(props.onUndo);
  const create = useEffectEvent((element: HTMLElement) =>
    createPlot(
      element,
      { times: data.times, series, range, drawing, log, zone, width, height: HEIGHT },
      {
        onHover: (at) => hover(at),
        onPick: (at) => pick(at),
        onZoom: (to) => zoom(to),
        onUndo: () => undo(),
        onDraw: () => setDrawn((count) => count + 1),
      },
    ),
  );

  useEffect(() => {
    if (host.current === null || width === 0) return undefined;
    const created = create(host.current);
    setPlot(created);
    return () => {
      created.destroy();
      setPlot(undefined);
    };
  }, [data, series, range, drawing, log, zone, width, dark]);

  useEffect(() => {
    const at = series.findIndex(({ key }) => key === highlighted);
    plot?.setSeries(at < 0 ? null : at + 1, { focus: true });
  }, [plot, series, highlighted]);

  const close = () => {
    hold(false);
    setPointer(undefined);
  };
  useShortcuts({ Escape: close });
  // What goes away no longer holds anything.
  const release = useEffectEvent(() => onHold(false));
  useEffect(() => () => release(), []);
  return (
    <div
      className={s.graph}
      data-stale={props.stale}
      data-testid="graph"
      role="group"
      aria-label={`${summary(data)} Arrow keys read values.`}
      tabIndex={0}
      style={{ height: HEIGHT }}
      onKeyDown={(event) => plot && press(event, plot, data.times.length, () => hold(!pinned))}
    >
      <div ref={host} />
      {plot !== undefined && <Exemplars plot={plot} drawn={drawn} {...props} />}
      {plot !== undefined && pointer !== undefined && pointer.index < data.times.length && (
        <Tooltip plot={plot} pointer={pointer} pinned={pinned} onClose={close} {...props} />
      )}
    </div>
  );
}

function press(event: KeyboardEvent, plot: uPlot, count: number, pin: () => void): void {
  const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
  if (event.target !== event.currentTarget) return;
  if (event.key === "Enter") pin();
  else if (by === 0) return;
  else {
    const from = plot.cursor.idx ?? (by > 0 ? -1 : count);
    const time = plot.data[0][Math.min(count - 1, Math.max(0, from + by))] ?? 0;
    plot.setCursor({ left: plot.valToPos(time, "x"), top: plot.over.clientHeight / 3 });
  }
  event.preventDefault();
  event.stopPropagation();
}

function summary({ series, times }: GraphData): string {
  return `Graph of ${series.length} series over ${times.length} points.`;
}
