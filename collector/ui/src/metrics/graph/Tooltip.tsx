// The values of all series where the pointer is. Pinned by a click it has a way on.
import type uPlot from "uplot";
import { Link } from "../../app/Link";
import { dayTime, type Zone } from "../../time/format";
import { Tool } from "../../widgets/Tool";
import type { Drawing } from "../state";
import { scaleOf, type Pointer } from "./plot";
import { readings, shownReadings, type Reading } from "./readings";
import type { GraphData, Series } from "./series";
import s from "./Tooltip.module.css";
import { formatValue } from "./units";

interface TooltipProps {
  plot: uPlot;
  pointer: Pointer;
  pinned: boolean;
  data: GraphData;
  series: readonly Series[];
  drawing: Drawing;
  zone: Zone;
  logsAt: (series: Series, time: number) => string | undefined;
  onIsolate: (series: Series) => void;
  onClose: () => void;
}

const MOST = 12;
const WIDTH = 360;
const GAP = 14;

export function Tooltip({ plot, pointer, pinned, data, series, drawing, zone, logsAt, onIsolate, onClose }: TooltipProps) {
  const time = (data.times[pointer.index] ?? 0) * 1000;
  const all = readings(series, pointer.index);
  const nearest = nearestOf(plot, pointer, all, (one) => scaleOf({ series, drawing }, one.unit));
  const shown = shownReadings(all, MOST, nearest?.series.key);
  const left = plot.over.offsetLeft + plot.valToPos(time / 1000, "x");
  const right = left + GAP + WIDTH > plot.width;
  const logs = nearest && logsAt(nearest.series, time);
  return (
    <div
      className={s.tooltip}
      data-pinned={pinned}
      role={pinned ? "dialog" : "status"}
      aria-label={pinned ? "Values at this time" : undefined}
      style={{ top: 12, width: WIDTH, ...(right ? { right: plot.width - left + GAP } : { left: left + GAP }) }}
    >
      <div className={s.when}>
        {dayTime(time, zone)}
        {pinned && <Tool icon="close" name="Close" title="Close (Esc)" onClick={onClose} />}
      </div>
      {all.length === 0 && <p className={s.none}>no values here</p>}
      <ul>
        {shown.map(({ series: one, value }) => (
          <li key={one.key} data-nearest={one.key === nearest?.series.key}>
            <i style={{ background: one.colour }} />
            <span>{one.name}</span>
            <b>{formatValue(value, one.unit)}</b>
          </li>
        ))}
      </ul>
      {all.length > shown.length && <p className={s.none}>and {all.length - shown.length} lower</p>}
      {pinned && nearest !== undefined && (
        <div className={s.actions}>
          <button type="button" className="quiet" onClick={() => onIsolate(nearest.series)}>
            Only {nearest.series.name.length > 30 ? "this series" : nearest.series.name}
          </button>
          {logs !== undefined && <Link href={logs}>Logs around this time</Link>}
        </div>
      )}
      {!pinned && all.length > 0 && <p className={s.none}>click to hold · drag to zoom</p>}
    </div>
  );
}

/** The series whose line passes closest to the pointer. */
function nearestOf(plot: uPlot, pointer: Pointer, all: readonly Reading[], scale: (series: Series) => string): Reading | undefined {
  let nearest: Reading | undefined;
  let least = Infinity;
  for (const reading of all) {
    const distance = Math.abs(plot.valToPos(reading.value, scale(reading.series)) - pointer.top);
    if (distance < least) {
      least = distance;
      nearest = reading;
    }
  }
  return nearest;
}
