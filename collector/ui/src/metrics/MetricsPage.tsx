// The Metrics page: queries, time, and below them a graph, a table or what series there are.
import { useQueryClient } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import { asApiError } from "../api/client";
import { formatQuery, type Times } from "../api/prometheus";
import { currentLocation, refresh } from "../app/location";
import { usePreferences } from "../app/preferences";
import { useShortcuts } from "../app/shortcuts";
import { useAutoRefresh } from "../app/useAutoRefresh";
import { timeKeys } from "../time/keys";
import { TimePicker, type TimePickerHandle } from "../time/TimePicker";
import { resolveRange } from "../time/range";
import { Icon } from "../widgets/Icon";
import { Message } from "../widgets/Message";
import { Popover } from "../widgets/Popover";
import { toast } from "../widgets/Toasts";
import { useWidth } from "../widgets/useWidth";
import { MetricBrowser } from "./browser/MetricBrowser";
import { CardinalityView } from "./cardinality/CardinalityView";
import { expressions } from "./editor/PromEditor";
import { vocabulary } from "./editor/vocabulary";
import { GraphView } from "./graph/GraphView";
import { useExemplars, type Found } from "./graph/useExemplars";
import { gridOf } from "./graph/step";
import s from "./MetricsPage.module.css";
import { withQuery } from "./queries/edit";
import { QueryList, type QueryListHandle } from "./queries/QueryList";
import { RecentQueries } from "./queries/RecentQueries";
import { MOST_QUERIES, NO_QUERY, readState, type QueryText } from "./state";
import { TableView } from "./table/TableView";
import { Toolbar } from "./Toolbar";
import { useMetricsView, type MetricsView } from "./useMetricsView";
import { useRuns, type Moment, type Runs } from "./useRuns";

export function MetricsPage() {
  const { zone } = usePreferences();
  const view = useMetricsView();
  const { state, range, at } = view;
  const { ref, width } = useWidth();
  const [held, hold] = useState(false);
  const [browsing, browse] = useState(false);
  const list = useRef<QueryListHandle>(null);
  const picker = useRef<TimePickerHandle>(null);
  const known = typeof range === "string" ? undefined : range;
  const grid = useMemo(
    () => (known === undefined || width === 0 ? undefined : gridOf(known, state.step, width)),
    [known, state.step, width],
  );
  const moment = useMemo((): Moment | undefined => {
    if (state.mode === "table") return known && { instant: known.end };
    return state.mode === "graph" && typeof grid === "object" ? { grid } : undefined;
  }, [state.mode, known, grid]);
  const runs = useRuns(state.queries, moment);
  const points = typeof grid === "object" && state.mode === "graph" ? grid : undefined;
  const exemplars = useExemplars(runs.runs, points, state.exemplars);
  const client = useQueryClient();
  const offers = useMemo(() => vocabulary(client, timesNow), [client]);
  useAutoRefresh(state.refresh, held);

  const isCardinality = state.mode === "cardinality";
  const written = () => list.current?.written() ?? [...state.queries];
  const run = (queries: QueryText[] = written()) => {
    for (const { expression } of queries) expressions.remember(expression);
    view.start({ queries });
  };
  const add = (expression: string) => {
    const queries = withQuery(written(), { ...NO_QUERY, expression });
    expressions.remember(expression);
    view.start({ queries, ...(isCardinality ? { mode: "graph" as const } : {}) });
  };

  useShortcuts({
    ...timeKeys(view),
    r: refresh,
    "/": () => list.current?.focus(),
    d: () => picker.current?.open(),
    m: () => browse(true),
    e: () => view.show({ exemplars: !state.exemplars }),
    v: () => view.show({ mode: state.mode === "graph" ? "table" : "graph" }),
    Escape: () => {
      if (picker.current?.close() !== true && state.metric !== "") view.show({ metric: "" });
    },
  });

  return (
    <main className={s.page} ref={ref}>
      <h1 className="hidden">Metrics</h1>
      <div className={s.search}>
        {isCardinality ? (
          <p className={s.hint}>What the series of this time range consist of. New are those that began in its second half.</p>
        ) : (
          <QueryTools
            full={state.queries.length >= MOST_QUERIES}
            onEmpty={() => view.show({ queries: [...written(), NO_QUERY] })}
            onBrowse={() => browse(true)}
            onQuery={add}
          />
        )}
        <TimePicker ref={picker} value={state.range} range={range} zone={zone} at={at} onChange={view.pickRange} />
        {runs.running ? (
          <button type="button" className={s.run} onClick={runs.cancel}>
            Cancel
          </button>
        ) : (
          !isCardinality && (
            <button type="button" className={`primary ${s.run}`} onClick={() => run()}>
              Run
            </button>
          )
        )}
      </div>
      {!isCardinality && (
        <QueryList ref={list} queries={state.queries} runs={runs.runs} vocabulary={offers} onRun={run} format={format} />
      )}
      {[range, grid].map((problem) => typeof problem === "string" && <p key={problem} className={s.problem} role="alert">{problem}</p>)}
      <div className={s.progress} data-running={runs.running} />
      <Toolbar view={view} runs={runs} grid={points} paused={held ? "paused while a point is held" : undefined} />
      {runs.stale && !runs.running && (
        <p className={s.outdated} role="status">
          <b>Out of date.</b> Shown is what was found before.
        </p>
      )}
      <Results view={view} runs={runs} exemplars={exemplars} onHold={hold} onBrowse={() => browse(true)} onQuery={add} />
      {browsing && known !== undefined && <MetricBrowser times={known} onQuery={add} onClose={() => browse(false)} />}
    </main>
  );
}

interface ResultsProps {
  view: MetricsView;
  runs: Runs;
  exemplars: Found;
  onHold: (held: boolean) => void;
  onBrowse: () => void;
  onQuery: (expression: string) => void;
}

function Results({ view, runs, exemplars, onHold, onBrowse, onQuery }: ResultsProps) {
  const { state, range } = view;
  if (state.mode === "cardinality") {
    if (typeof range === "string") return null;
    const open = (metric: string) => view.show({ metric });
    return <CardinalityView metric={state.metric} range={range} onOpen={open} onQuery={onQuery} />;
  }
  if (runs.runs.length === 0) {
    const hasQueries = state.queries.some(({ expression }) => expression !== "");
    return <Beginning hasQueries={hasQueries} onBrowse={onBrowse} onQuery={onQuery} />;
  }
  if (state.mode === "table") return <TableView runs={runs} />;
  return <GraphView view={view} runs={runs} exemplars={exemplars} onHold={onHold} />;
}

interface QueryToolsProps {
  /** Whether there is no room for more queries. */
  full: boolean;
  onEmpty: () => void;
  onBrowse: () => void;
  onQuery: (expression: string) => void;
}

function QueryTools({ full, onEmpty, onBrowse, onQuery }: QueryToolsProps) {
  return (
    <div className={s.tools}>
      <button type="button" className="quiet" disabled={full} onClick={onEmpty}>
        <Icon name="plus" /> Query
      </button>
      <button type="button" className="quiet" title="All metrics there are (m)" onClick={onBrowse}>
        <Icon name="browse" /> Browse metrics
      </button>
      <Popover label={<><Icon name="clock" /> Recent</>} name="Recent queries">
        {(close) => (
          <RecentQueries
            onChoose={(expression) => {
              close();
              onQuery(expression);
            }}
          />
        )}
      </Popover>
    </div>
  );
}

/** The times of the page when it is asked what there is. */
function timesNow(): Times {
  const { search, at } = currentLocation();
  const range = resolveRange(readState(search).range, at);
  return typeof range === "string" ? { start: at - 3_600_000, end: at } : range;
}

async function format(expression: string): Promise<string | undefined> {
  if (expression === "") return undefined;
  try {
    return await formatQuery(expression, AbortSignal.timeout(10_000));
  } catch (error) {
    const failure = asApiError(error);
    toast(failure.status === 404 ? "This server does not lay out queries" : failure.message);
    return undefined;
  }
}

const EXAMPLES = ["up", "sum by (job) (rate(http_server_request_duration_seconds_count[5m]))", "topk(10, count by (__name__) ({__name__!=\"\"}))"];

interface BeginningProps {
  /** Whether there are queries, all of them left out. */
  hasQueries: boolean;
  onBrowse: () => void;
  onQuery: (expression: string) => void;
}

function Beginning({ hasQueries, onBrowse, onQuery }: BeginningProps) {
  if (hasQueries) {
    return (
      <Message title="All queries are left out">
        <p>The letter before a query takes it in again.</p>
      </Message>
    );
  }
  return (
    <Message title="Write a query, or begin with a metric">
      <p>
        <button type="button" className="primary" onClick={onBrowse}>
          Browse metrics
        </button>
      </p>
      <p>For example:</p>
      {EXAMPLES.map((expression) => (
        <p key={expression}>
          <button type="button" onClick={() => onQuery(expression)}>
            <code>{expression}</code>
          </button>
        </p>
      ))}
    </Message>
  );
}
