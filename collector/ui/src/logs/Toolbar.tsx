// Between histogram and rows: which view, what the search cost, how it is shown,
// and ways to take it elsewhere.
import { prefer, usePreferences } from "../app/preferences";
import { RefreshControl } from "../app/RefreshControl";
import { absolute } from "../time/range";
import { Icon } from "../widgets/Icon";
import { Popover } from "../widgets/Popover";
import { ShareMenu } from "../widgets/ShareMenu";
import { Tabs } from "../widgets/Tabs";
import { Tool } from "../widgets/Tool";
import { ExportPanel } from "./export/ExportPanel";
import type { LogsMode } from "./state";
import type { Find } from "./table/useFind";
import s from "./Toolbar.module.css";
import type { Found, Logs } from "./useLogs";
import type { LogsView } from "./useLogsView";

interface ToolbarProps {
  view: LogsView;
  logs: Logs;
  /** Why automatic refresh rests, when it does. */
  paused: string | undefined;
  find: Find;
}

const MODES: readonly { id: LogsMode; label: string; title: string }[] = [
  { id: "records", label: "Records", title: "The records found" },
  { id: "patterns", label: "Patterns", title: "Like messages together (p)" },
  { id: "live", label: "Live", title: "Records as they arrive (l)" },
];

export function Toolbar({ view, logs, paused, find }: ToolbarProps) {
  const { sidebar } = usePreferences();
  const { state, run, show } = view;
  const { mode } = state;
  const { found } = logs;
  return (
    <div className={s.toolbar}>
      <Tool
        icon="sidebar"
        name="Fields"
        title={sidebar ? "Hide the fields (f)" : "Show the fields (f)"}
        pressed={sidebar}
        onClick={() => prefer({ sidebar: !sidebar })}
      />
      <Tabs name="View" tabs={MODES} chosen={mode} onChoose={(to) => show({ mode: to })} />
      <p className={s.stats} data-testid="stats">
        {mode === "records" && found !== undefined && statsLine(found)}
      </p>
      {state.refresh > 0 && paused !== undefined && <span className={s.paused}>{paused}</span>}
      {mode === "records" && (
        <button
          type="button"
          className="quiet"
          title="Which records come first"
          onClick={() => show({ order: state.order === "newest" ? "oldest" : "newest" })}
        >
          <Icon name={state.order === "newest" ? "down" : "up"} />
          {state.order === "newest" ? "Newest first" : "Oldest first"}
        </button>
      )}
      {mode !== "patterns" && <LayoutButtons view={view} find={find} />}
      {mode !== "live" && (
        <button
          type="button"
          className="quiet"
          aria-pressed={state.histogram}
          title="Show the histogram (h)"
          onClick={() => show({ histogram: !state.histogram })}
        >
          Histogram
        </button>
      )}
      {run !== undefined && mode !== "live" && (
        <Popover label={<><Icon name="download" /> Export</>} name="Export" title="Download what matches">
          {(close) => <ExportPanel run={run} columns={state.columns} total={logs.bars?.total} onDone={close} />}
        </Popover>
      )}
      <ShareMenu
        link={view.link({})}
        absoluteLink={run && view.link({ range: absolute(run.range), refresh: 0 })}
      />
      {mode !== "live" && <RefreshControl seconds={state.refresh} onChange={(refresh) => show({ refresh })} />}
    </div>
  );
}

function LayoutButtons({ view: { state, show }, find }: { view: LogsView; find: Find }) {
  return (
    <>
      <button
        type="button"
        className="quiet"
        aria-pressed={state.wrap}
        title="Wrap long messages (w)"
        onClick={() => show({ wrap: !state.wrap })}
      >
        Wrap
      </button>
      <Tool
        icon="rows"
        name="Roomy rows"
        title={state.roomy ? "Rows closer together" : "Rows further apart"}
        pressed={state.roomy}
        onClick={() => show({ roomy: !state.roomy })}
      />
      <Tool icon="find" name="Find in rows" title="Find among the loaded rows (Ctrl+F)" pressed={find.open} onClick={find.show} />
    </>
  );
}

function statsLine({ records, stats, pages }: Found): string {
  const n = (value: number) => value.toLocaleString("en");
  const blocks =
    stats.blocks_total > 0
      ? `${n(stats.blocks_scanned)} of ${n(stats.blocks_total)} blocks scanned`
      : "nothing sealed in this range";
  return [
    `${n(records.length)} loaded`,
    (pages > 1 ? "first page: " : "") + blocks,
    `${n(stats.rows_scanned)} rows checked`,
    `${n(Math.max(1, Math.round(stats.elapsed_ms)))} ms`,
  ].join(" · ");
}
