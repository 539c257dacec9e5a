// The Logs page: search, time, histogram, rows and one record in the drawer.
import { useRef, useState } from "react";
import { refresh } from "../app/location";
import { usePreferences } from "../app/preferences";
import { useShortcuts } from "../app/shortcuts";
import { QueryBar, type QueryBarHandle } from "../query/QueryBar";
import { absolute } from "../time/range";
import { TimePicker, type TimePickerHandle } from "../time/TimePicker";
import { copy } from "../widgets/copy";
import { Histogram } from "./Histogram";
import { Legend } from "./Legend";
import s from "./LogsPage.module.css";
import { Banners } from "./Outcome";
import { Results } from "./Results";
import type { RowsHandle } from "./Rows";
import { Toolbar } from "./Toolbar";
import { useAutoRefresh } from "./useAutoRefresh";
import { useLogs } from "./useLogs";
import { useLogsView } from "./useLogsView";
import { useSelection } from "./useSelection";

export function LogsPage() {
  const { zone } = usePreferences();
  const view = useLogsView();
  const { state, run, range } = view;
  const logs = useLogs(run, state.histogram);
  const { bars, error } = logs;
  const bar = useRef<QueryBarHandle>(null);
  const picker = useRef<TimePickerHandle>(null);
  const rows = useRef<RowsHandle>(null);
  const [scrolled, setScrolled] = useState(false);
  const selection = useSelection({ records: logs.found?.records, view, rows });
  const paused = useAutoRefresh(state.refresh, scrolled);

  useShortcuts({
    "/": () => bar.current?.focus(),
    d: () => picker.current?.open(),
    r: refresh,
    h: () => view.show({ histogram: !state.histogram }),
    w: () => view.show({ wrap: !state.wrap }),
    j: () => selection.move(1),
    k: () => selection.move(-1),
    Enter: selection.openActive,
    Escape: () => {
      if (picker.current?.close() !== true) selection.close();
    },
    "t z": view.zoomOut,
    "t ArrowLeft": () => view.shift(-1),
    "t ArrowRight": () => view.shift(1),
  });

  const copyLink = (exact: boolean) => {
    const change = exact && run !== undefined ? { range: absolute(run.range), refresh: 0 } : {};
    void copy(view.link(change), exact ? "Absolute link" : "Link");
  };
  const queryError = error?.position !== undefined || error?.code === "invalid_query" ? error : undefined;
  return (
    <main className={s.page}>
      <h1 className="hidden">Logs</h1>
      <div className={s.search}>
        <QueryBar ref={bar} query={state.query} error={queryError} onRun={(query) => view.start({ query })} />
        <TimePicker ref={picker} value={state.range} range={range} zone={zone} at={view.at} onChange={view.pickRange} />
        {logs.running ? (
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
      {typeof range !== "string" && state.histogram && (
        <>
          <div className={s.legend} hidden={queryError !== undefined}>
            <Legend bars={bars} stale={logs.histogramStale} onLevel={(level) => view.filter("severity", level, "for")} />
            {logs.histogramError !== undefined && error === undefined && (
              <span role="alert">The histogram failed: {logs.histogramError.message}</span>
            )}
          </div>
          <Histogram bars={bars} range={range} zone={zone} stale={logs.histogramStale} onZoom={view.zoom} />
        </>
      )}
      <div className={s.progress} data-running={logs.running} />
      <Toolbar
        state={state}
        found={logs.found}
        paused={paused}
        onChange={view.show}
        onRefresh={refresh}
        onCopyLink={copyLink}
      />
      <Banners logs={logs} zone={zone} />
      <Results view={view} logs={logs} selection={selection} rows={rows} zone={zone} onScrolled={setScrolled} />
    </main>
  );
}
