// Between queries and results: which view, what it cost, and how it is drawn.
import { RefreshControl } from "../app/RefreshControl";
import { formatDuration, parseDuration } from "../time/duration";
import { absolute } from "../time/range";
import { ShareMenu } from "../widgets/ShareMenu";
import { Tabs } from "../widgets/Tabs";
import type { Grid } from "./graph/step";
import { UNITS } from "./graph/units";
import { queryName, type Drawing, type MetricsMode } from "./state";
import s from "./Toolbar.module.css";
import type { MetricsView } from "./useMetricsView";
import type { Run, Runs } from "./useRuns";

interface ToolbarProps {
  view: MetricsView;
  runs: Runs;
  grid: Grid | undefined;
  /** Why automatic refresh rests, when it does. */
  paused: string | undefined;
}

const MODES: readonly { id: MetricsMode; label: string; title: string }[] = [
  { id: "graph", label: "Graph", title: "The queries over time" },
  { id: "table", label: "Table", title: "The queries at the range's end" },
  { id: "cardinality", label: "Cardinality", title: "What the series there are consist of" },
];

const DRAWINGS: readonly { id: Drawing; name: string }[] = [
  { id: "lines", name: "Lines" },
  { id: "stacked", name: "Stacked" },
  { id: "points", name: "Points" },
];

export function Toolbar({ view, runs, grid, paused }: ToolbarProps) {
  const { state, range, show } = view;
  return (
    <div className={s.toolbar}>
      <Tabs name="View" tabs={MODES} chosen={state.mode} onChoose={(mode) => show({ mode })} />
      <p className={s.stats} data-testid="stats">
        {state.mode !== "cardinality" && runs.runs.map((run) => statsOf(run, runs.runs.length > 1)).join(" · ")}
      </p>
      {state.refresh > 0 && paused !== undefined && <span className={s.paused}>{paused}</span>}
      {state.mode === "graph" && <Drawings view={view} grid={grid} />}
      <ShareMenu
        link={view.link({})}
        absoluteLink={typeof range === "string" ? undefined : view.link({ range: absolute(range), refresh: 0 })}
      />
      <RefreshControl seconds={state.refresh} onChange={(refresh) => show({ refresh })} />
    </div>
  );
}

function Drawings({ view: { state, show }, grid }: { view: MetricsView; grid: Grid | undefined }) {
  return (
    <div className={s.drawing}>
      <label>
        step
        <input
          key={state.step}
          className={s.step}
          aria-label="Step"
          placeholder={grid === undefined ? "auto" : `auto: ${formatDuration(grid.step)}`}
          title="Time between points, such as 15s; empty for as many as there is room for"
          defaultValue={state.step}
          spellCheck={false}
          onKeyDown={(event) => {
            if (event.key === "Enter") event.currentTarget.blur();
          }}
          onBlur={(event) => {
            const step = event.target.value.trim();
            const valid = step === "" || (parseDuration(step) ?? 0) > 0;
            if (!valid) event.target.value = state.step;
            else if (step !== state.step) show({ step });
          }}
        />
      </label>
      <select aria-label="Drawn as" value={state.drawing} onChange={(event) => show({ drawing: event.target.value as Drawing })}>
        {DRAWINGS.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
      <select aria-label="Unit" value={state.unit} onChange={(event) => show({ unit: event.target.value })}>
        <option value="">unit by name</option>
        {UNITS.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
      <button
        type="button"
        className="quiet"
        aria-pressed={state.log}
        disabled={state.drawing === "stacked"}
        title={state.drawing === "stacked" ? "Sums have no logarithmic axis" : "A logarithmic value axis"}
        onClick={() => show({ log: !state.log })}
      >
        Log
      </button>
      <button
        type="button"
        className="quiet"
        aria-pressed={state.exemplars}
        title="Single measurements that lead to their trace (e)"
        onClick={() => show({ exemplars: !state.exemplars })}
      >
        Exemplars
      </button>
    </div>
  );
}

function statsOf({ query, answer, error, running, cancelled, elapsed }: Run, several: boolean): string {
  const name = several ? `${queryName(query)}: ` : "";
  if (running) return `${name}running…`;
  if (error !== undefined) return `${name}failed`;
  if (answer === undefined) return cancelled ? `${name}cancelled` : `${name}not run`;
  const { data } = answer;
  const found = data.resultType === "matrix" || data.resultType === "vector" ? data.result.length : 1;
  return `${name}${found.toLocaleString("en")} series in ${Math.max(1, Math.round(elapsed ?? 0)).toLocaleString("en")} ms`;
}
