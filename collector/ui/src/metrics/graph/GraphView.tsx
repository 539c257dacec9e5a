// The graph with its legend, and what stands in its place.
import { useMemo, useState } from "react";
import { usePreferences } from "../../app/preferences";
import { useShortcuts } from "../../app/shortcuts";
import { rangeLabel } from "../../time/format";
import { absolute, type RangeText, type TimeRange } from "../../time/range";
import { Message } from "../../widgets/Message";
import { useWidth } from "../../widgets/useWidth";
import { behindPoint, logsLink } from "../logsLink";
import { Notices } from "../Notices";
import { queryName } from "../state";
import type { MetricsView } from "../useMetricsView";
import type { Runs, Shown } from "../useRuns";
import { Graph } from "./Graph";
import s from "./GraphView.module.css";
import { Legend } from "./Legend";
import { isolated, isShown, toggled, type Selection } from "./legend";
import { toGraph, type GraphData, type Series } from "./series";
import { guessUnit, unitNamed, type Unit } from "./units";
import type { Found } from "./useExemplars";

interface GraphViewProps {
  view: MetricsView;
  runs: Runs;
  exemplars: Found;
  onHold: (held: boolean) => void;
}

export function GraphView({ view, runs, exemplars, onHold }: GraphViewProps) {
  const { state, range } = view;
  const { zone } = usePreferences();
  const { ref, width } = useWidth();
  const { shown } = runs;
  const data = useMemo(() => (shown === undefined ? undefined : graphOf(shown, unitNamed(state.unit))), [shown, state.unit]);
  const [selection, select] = useState<Selection>();
  const [pointed, point] = useState<string>();
  const zooms = useZooms(view);
  // A choice among series that are gone would hide all of them.
  const chosen = data?.series.some(({ key }) => selection?.has(key)) === true ? selection : undefined;
  const visible = useMemo(() => data?.series.filter(({ key }) => isShown(chosen, key)) ?? [], [data, chosen]);
  const expressions = shown?.runs.map(({ expression }) => expression) ?? [];
  useShortcuts({ u: zooms.undo });
  const isolate = (series: Series) => select(isolated(chosen, series.key));

  return (
    <div className={s.view} ref={ref}>
      {data !== undefined && data.series.length > 0 && typeof range !== "string" ? (
        <>
          <div className={s.over}>
            {zooms.previous !== undefined && (
              <button type="button" className={s.undo} title="Undo the zoom (u, or double-click the graph)" onClick={zooms.undo}>
                Undo zoom
              </button>
            )}
            <Notices items={[...remarks(data, state.log), ...(exemplars.problem === undefined ? [] : [exemplars.problem])]} />
          </div>
          <Graph
            data={data}
            series={visible}
            exemplars={exemplars.shown}
            range={range}
            drawing={state.drawing}
            log={state.log && state.drawing !== "stacked"}
            zone={zone}
            width={Math.max(0, width - 24)}
            stale={runs.stale}
            highlighted={pointed}
            logsAt={(series, time) => logsLink(series.labels, behindPoint(state.queries[series.query]?.expression ?? "", time, data.step))}
            onIsolate={isolate}
            onZoom={zooms.zoom}
            onUndo={zooms.undo}
            onHold={onHold}
          />
          <Legend
            series={data.series}
            selection={chosen}
            letters={expressions.length > 1}
            onIsolate={isolate}
            onToggle={(series) => select(toggled(chosen, series.key, data.series))}
            onPoint={point}
            queryName={queryName}
          />
        </>
      ) : (
        <Empty view={view} runs={runs} data={data} label={typeof range === "string" ? "" : rangeLabel(range.start, range.end, zone, view.at)} />
      )}
    </div>
  );
}

function graphOf({ moment, runs }: Shown, unit: Unit | undefined): GraphData | undefined {
  if (!("grid" in moment)) return undefined;
  const answers = runs.flatMap(({ query, expression, legend, answer }) =>
    answer === undefined ? [] : [{ query, expression, legend, unit: unit ?? guessUnit(expression), data: answer.data }],
  );
  return answers.length === 0 ? undefined : toGraph(moment.grid, answers);
}

function remarks(data: GraphData, log: boolean): string[] {
  const { series, found, histograms } = data;
  const lines = found - histograms;
  const said: string[] = [];
  if (lines > series.length) said.push(`Drawn are the ${series.length} series with the highest values of ${lines.toLocaleString("en")}.`);
  if (histograms > 0) said.push(`${histograms} native ${histograms === 1 ? "histogram is" : "histograms are"} not drawn: the table shows them, histogram_quantile() draws them.`);
  if (log && series.some(({ summary }) => summary.min !== null && summary.min <= 0)) said.push("Values that are not positive have no place on a logarithmic axis.");
  return said;
}

interface Zooms {
  /** What was shown before the last zoom, if that is what is shown. */
  previous: RangeText | undefined;
  zoom: (range: TimeRange) => void;
  undo: () => void;
}

/** The ranges that were zoomed out of by dragging, for the way back. */
function useZooms({ state, zoom, pickRange }: MetricsView): Zooms {
  const [stack, setStack] = useState<readonly { before: RangeText; after: TimeRange }[]>([]);
  const last = stack.at(-1);
  const { from, to } = absolute(last?.after ?? { start: 0, end: 0 });
  // Another range has been chosen since: there is no way back from that.
  const holds = from === state.range.from && to === state.range.to;
  const previous = holds ? last?.before : undefined;
  return {
    previous,
    zoom: (range) => {
      setStack([...(holds ? stack : []), { before: state.range, after: range }]);
      zoom(range);
    },
    undo: () => {
      if (previous === undefined) return;
      setStack(stack.slice(0, -1));
      pickRange(previous);
    },
  };
}

function Empty({ view, runs, data, label }: { view: MetricsView; runs: Runs; data: GraphData | undefined; label: string }) {
  if (runs.runs.length === 0 || runs.running) return null;
  const failed = runs.runs.every(({ error }) => error !== undefined);
  if (failed) return null;
  if (runs.runs.some(({ cancelled }) => cancelled)) {
    return (
      <Message title="Cancelled">
        <p>The query was stopped before it answered.</p>
        <button type="button" onClick={runs.retry}>
          Run again
        </button>
      </Message>
    );
  }
  if (data !== undefined && data.histograms > 0) {
    return (
      <Message title="Native histograms are not drawn as lines">
        <p>
          Take a part of them, as with <code>histogram_quantile(0.95, …)</code>, or look at the buckets in the table.
        </p>
        <button type="button" onClick={() => view.show({ mode: "table" })}>
          Show the table
        </button>
      </Message>
    );
  }
  if (runs.shown?.runs.some(({ answer }) => answer !== undefined) !== true) return null;
  return (
    <Message title="No series found">
      <p>Nothing between {label}. A metric may have another name, or labels that do not match; Browse shows what there is.</p>
      <button type="button" onClick={view.zoomOut}>
        Zoom out
      </button>
      <button type="button" onClick={() => view.pickRange({ from: "now-24h", to: "now" })}>
        Last 24 hours
      </button>
    </Message>
  );
}
