// Exemplars as diamonds on a graph, each a link to its trace.
import type uPlot from "uplot";
import { Link } from "../../app/Link";
import { dayTime, type Zone } from "../../time/format";
import { traceUrl } from "../../traces/state";
import type { Drawing } from "../state";
import type { Exemplar } from "./exemplars";
import s from "./Graph.module.css";
import { scaleOf } from "./plot";
import type { Series } from "./series";
import { formatValue } from "./units";

interface ExemplarsProps {
  plot: uPlot;
  /** Counts how often the plot was drawn: its scales are read anew each time. */
  drawn: number;
  exemplars: readonly Exemplar[];
  series: readonly Series[];
  drawing: Drawing;
  zone: Zone;
}

export function Exemplars({ plot, drawn, exemplars, series, drawing, zone }: ExemplarsProps) {
  if (drawn === 0 || exemplars.length === 0) return null;
  const { offsetLeft: left, offsetTop: top, clientWidth: width, clientHeight: height } = plot.over;
  const inside = (position: number, most: number) => Math.min(most, Math.max(0, position));
  return (
    <div className={s.exemplars} style={{ left, top, width, height }} data-testid="exemplars">
      {exemplars.map((exemplar) => {
        const { key, time, value, unit, trace, span, text } = exemplar;
        // One whose value the axis does not reach lies on the graph's edge.
        const y = inside(plot.valToPos(value, scaleOf({ series, drawing }, unit)), height);
        const place = { left: inside(plot.valToPos(time / 1000, "x"), width), top: Number.isFinite(y) ? y : height };
        const told = `${dayTime(time, zone)}\nvalue: ${formatValue(value, unit)}\n${text}`;
        if (trace === undefined) return null;
        return (
          <Link key={key} href={traceUrl(trace, { span, at: time })} style={place} title={told} aria-label={`Exemplar of ${formatValue(value, unit)}: trace ${trace}`} />
        );
      })}
    </div>
  );
}
