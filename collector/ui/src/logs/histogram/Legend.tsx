// How many records of each value were found; a value is a button that filters.
import { OTHER, WITHOUT, type Bars, type Series } from "./bars";
import s from "./Legend.module.css";

interface LegendProps {
  bars: Bars | undefined;
  stale: boolean;
  onValue: (field: string, value: string) => void;
  /** Only records without the field. */
  onWithout: (field: string) => void;
}

export function Legend({ bars, stale, onValue, onWithout }: LegendProps) {
  if (bars === undefined) return <div className={s.legend} />;
  const { by, series, total } = bars;
  const choose = ({ value }: Series) => (value === WITHOUT ? onWithout(by) : onValue(by, value));
  return (
    <div className={s.legend} data-stale={stale}>
      <strong data-testid="total">
        {total.toLocaleString("en")} {total === 1 ? "record" : "records"}
      </strong>
      {by !== "" &&
        series.map((one) => (
          <button
            key={one.value}
            type="button"
            className={`quiet ${s.level}`}
            title={`Show only ${one.name}`}
            disabled={one.value === OTHER}
            onClick={() => choose(one)}
          >
            <i style={{ background: one.fill }} />
            <span className={s.name}>{one.name}</span> <b>{one.total.toLocaleString("en")}</b>
          </button>
        ))}
    </div>
  );
}
