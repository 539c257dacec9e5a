// How many records of each level were found; a level is a button that filters.
import type { Bars } from "./bars";
import s from "./Legend.module.css";
import { LEVELS, type Level } from "./severity";

interface LegendProps {
  bars: Bars | undefined;
  stale: boolean;
  onLevel: (level: Level) => void;
}

export function Legend({ bars, stale, onLevel }: LegendProps) {
  if (bars === undefined) return <div className={s.legend} />;
  return (
    <div className={s.legend} data-stale={stale}>
      <strong data-testid="total">
        {bars.total.toLocaleString("en")} {bars.total === 1 ? "record" : "records"}
      </strong>
      {LEVELS.map((level) => {
        const count = bars.totals[level] ?? 0;
        if (count === 0) return null;
        return (
          <button
            key={level}
            type="button"
            className={`quiet ${s.level}`}
            title={`Show only ${level}`}
            onClick={() => onLevel(level)}
          >
            <i style={{ background: `var(--fill-${level})` }} />
            {level} <span>{count.toLocaleString("en")}</span>
          </button>
        );
      })}
    </div>
  );
}
