// The Logs page: search, time, histogram, and below them what was found.
import { useRef, useState } from "react";
import { refresh } from "../app/location";
import { currentPreferences, prefer, usePreferences } from "../app/preferences";
import { useShortcuts } from "../app/shortcuts";
import { useAutoRefresh } from "../app/useAutoRefresh";
import { QueryBar, type QueryBarHandle } from "../query/QueryBar";
import { useVocabulary } from "../query/useVocabulary";
import { timeKeys } from "../time/keys";
import { TimePicker, type TimePickerHandle } from "../time/TimePicker";
import { Icon } from "../widgets/Icon";
import { Popover } from "../widgets/Popover";
import { FilterPills } from "./FilterPills";
import { Chart } from "./histogram/Chart";
import s from "./LogsPage.module.css";
import { Banners } from "./Outcome";
import { Results } from "./Results";
import type { RowsHandle } from "./table/Rows";
import { useFind } from "./table/useFind";
import { useLive } from "./tail/useLive";
import { Toolbar } from "./Toolbar";
import { useLogs } from "./useLogs";
import { useLogsView, type LogsView } from "./useLogsView";
import { useSelection } from "./useSelection";
import { ViewsPanel } from "./views/ViewsPanel";

export function LogsPage() {
  const { zone } = usePreferences();
  const view = useLogsView();
  const { state, run, range } = view;
  const isLive = state.mode === "live";
  const charted = state.histogram && !isLive;
  const logs = useLogs(isLive ? undefined : run, charted ? state.by : undefined);
  const live = useLive(isLive ? state.query : undefined);
  const records = isLive ? live.buffer.shown : state.mode === "records" ? logs.found?.records : undefined;
  const vocabulary = useVocabulary(run?.range);
  const bar = useRef<QueryBarHandle>(null);
  const picker = useRef<TimePickerHandle>(null);
  const rows = useRef<RowsHandle>(null);
  const [scrolled, setScrolled] = useState(false);
  const selection = useSelection({ records, waiting: state.mode === "records" && logs.running, view, rows });
  const find = useFind({ records, columns: state.columns, index: selection.index, onFound: selection.focus });
  useAutoRefresh(isLive ? 0 : state.refresh, scrolled);
  const error = isLive ? live.error : logs.error;
  const queryError = error?.position !== undefined || error?.code === "invalid_query" ? error : undefined;

  useShortcuts({
    ...keysOf(view),
    "/": () => bar.current?.focus(),
    d: () => picker.current?.open(),
    j: () => selection.move(1),
    k: () => selection.move(-1),
    ArrowDown: () => selection.move(1),
    ArrowUp: () => selection.move(-1),
    Enter: selection.openActive,
    Escape: () => {
      if (picker.current?.close() === true) return;
      if (find.open) find.close();
      else selection.close();
    },
  });

  return (
    <main className={s.page}>
      <h1 className="hidden">Logs</h1>
      <div className={s.search}>
        <QueryBar
          ref={bar}
          query={state.query}
          error={queryError}
          vocabulary={vocabulary}
          onRun={(query) => view.start({ query })}
        />
        <Popover label={<Icon name="bookmark" />} name="Saved views and recent searches" className={s.views ?? ""}>
          {(close) => (
            <ViewsPanel
              url={view.url({ record: undefined })}
              suggested={state.query}
              onSearch={(query) => view.start({ query })}
              onDone={close}
            />
          )}
        </Popover>
        <TimePicker ref={picker} value={state.range} range={range} zone={zone} at={view.at} onChange={view.pickRange} />
        {logs.running && !isLive ? (
          <button type="button" className={s.run} onClick={logs.cancel}>
            Cancel
          </button>
        ) : (
          <button
            type="button"
            className={`primary ${s.run}`}
            onClick={() => view.start({ query: bar.current?.text() ?? state.query })}
          >
            Run
          </button>
        )}
      </div>
      {typeof range === "string" && (
        <p className={s.problem} role="alert">
          {range}
        </p>
      )}
      <FilterPills query={state.query} onChange={(query) => view.start({ query })} />
      {charted && <Chart view={view} logs={logs} zone={zone} hasError={queryError !== undefined} />}
      <div className={s.progress} data-running={logs.running && !isLive} />
      <Toolbar view={view} logs={logs} paused={scrolled ? "paused while scrolled" : undefined} find={find} />
      {!isLive && <Banners logs={logs} zone={zone} />}
      {selection.problem !== undefined && (
        <p className={s.problem} role="alert">
          The record of this link cannot be shown: {selection.problem}
        </p>
      )}
      <Results
        view={view}
        logs={logs}
        live={live}
        selection={selection}
        find={find}
        rows={rows}
        zone={zone}
        onScrolled={setScrolled}
      />
    </main>
  );
}

/** Keys that need nothing but the view. */
function keysOf(view: LogsView) {
  const { state } = view;
  const mode = (to: "patterns" | "live") => view.show({ mode: state.mode === to ? "records" : to });
  return {
    ...timeKeys(view),
    r: refresh,
    h: () => view.show({ histogram: !state.histogram }),
    w: () => view.show({ wrap: !state.wrap }),
    f: () => prefer({ sidebar: !currentPreferences().sidebar }),
    p: () => mode("patterns"),
    l: () => mode("live"),
  };
}
