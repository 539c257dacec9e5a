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
        const y = plot.valToPos(value, scaleOf({ series, drawing }, unit));
        // One whose value the axis does not reach lies on the graph's edge, hollow. A logarithmic axis has no place for 0.
        const beyond = y < 0 ? ", above the axis" : y <= height ? "" : ", below the axis";
        const place = { left: inside(plot.valToPos(time / 1000, "x"), width), top: Number.isFinite(y) ? inside(y, height) : height };
        const told = `${formatValue(value, unit)}${beyond}`;
        if (trace === undefined) return null;
        return (
          <Link
            key={key}
            href={traceUrl(trace, { span, at: time })}
            style={place}
            data-beyond={beyond !== ""}
            title={`${dayTime(time, zone)}\nvalue: ${told}\n${text}`}
            aria-label={`Exemplar of ${told}: trace ${trace}`}
          />
        );
      })}
    </div>
  );
}
