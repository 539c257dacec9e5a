// The histogram with its legend, and the choice of what it counts by.
import type { Zone } from "../../time/format";
import type { Logs } from "../useLogs";
import type { LogsView } from "../useLogsView";
import s from "./Chart.module.css";
import { Histogram } from "./Histogram";
import { Legend } from "./Legend";

interface ChartProps {
  view: LogsView;
  logs: Logs;
  zone: Zone;
  /** The search has an error, so there are no counts. */
  hasError: boolean;
}

const USUAL = ["severity", "service"];

export function Chart({ view, logs, zone, hasError }: ChartProps) {
  const { range, state } = view;
  if (typeof range === "string") return null;
  const columns = state.columns.map((column) => column.field).filter((field) => field !== "body");
  const choices = [...new Set([...USUAL, ...columns, ...(state.by === "" ? [] : [state.by])])];
  return (
    <>
      <div className={s.legend} hidden={hasError}>
        <Legend
          bars={logs.bars}
          stale={logs.histogramStale}
          onValue={(field, value) => view.fields.filter(field, value, "for")}
          onWithout={(field) => view.fields.exists(field, "out")}
        />
        {logs.histogramError !== undefined && logs.error === undefined && (
          <span className={s.problem} role="alert">
            The histogram failed: {logs.histogramError.message}
          </span>
        )}
        <label className={s.by}>
          by
          <select value={state.by} aria-label="Count by" onChange={(event) => view.columns.groupBy(event.target.value)}>
            <option value="">nothing</option>
            {choices.map((field) => (
              <option key={field} value={field}>
                {field}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Histogram bars={logs.bars} range={range} zone={zone} stale={logs.histogramStale} onZoom={view.zoom} />
    </>
  );
}
