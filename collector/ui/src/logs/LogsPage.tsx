// The Logs page: search, time, histogram, rows and one record in the drawer.
// Its whole state is the URL; every action is a navigation.
import { useCallback, useMemo, useRef, useState } from "react";
import { navigate, refresh, useLocation } from "../app/location";
import { usePreferences } from "../app/preferences";
import { useShortcuts } from "../app/shortcuts";
import { addFilter, type Polarity } from "../query/edit";
import { highlightPattern } from "../query/highlight";
import { QueryBar, type QueryBarHandle } from "../query/QueryBar";
import { sameDay } from "../time/format";
import { absolute, resolveRange, serverTime, shift, zoomOut, type RangeText, type TimeRange } from "../time/range";
import { TimePicker, type TimePickerHandle } from "../time/TimePicker";
import { copy } from "../widgets/copy";
import { Drawer } from "./Drawer";
import { Histogram } from "./Histogram";
import { Legend } from "./Legend";
import s from "./LogsPage.module.css";
import { Banners, Cancelled, Failure, Footer, Nothing } from "./Outcome";
import { Rows, type RowsHandle } from "./Rows";
import { logsUrl, readState, type LogsState } from "./state";
import { Toolbar } from "./Toolbar";
import { useAutoRefresh } from "./useAutoRefresh";
import { useLogs, type Run } from "./useLogs";
import { useSelection } from "./useSelection";

export function LogsPage() {
  const { search, at } = useLocation();
  const { zone } = usePreferences();
  const state = useMemo(() => readState(search), [search]);
  const { query, order } = state;
  const { from, to } = state.range;
  const range = useMemo(() => resolveRange({ from, to }, at), [from, to, at]);
  const run = useMemo(
    (): Run | undefined => (typeof range === "string" ? undefined : { query, range, order }),
    [query, range, order],
  );
  const logs = useLogs(run, state.histogram);
  const { found, bars, error } = logs;

  const bar = useRef<QueryBarHandle>(null);
  const picker = useRef<TimePickerHandle>(null);
  const rows = useRef<RowsHandle>(null);
  const [scrolled, setScrolled] = useState(false);

  /** Another look at the same run. */
  const show = useCallback(
    (change: Partial<LogsState>, replace = false) =>
      navigate(logsUrl({ ...state, ...change }), { sameTime: true, replace }),
    [state],
  );
  /** Another run; the record shown belongs to the last one. */
  const startRun = (change: Partial<LogsState>) => {
    navigate(logsUrl({ ...state, record: undefined, ...change }));
    rows.current?.top();
  };
  const pickRange = (picked: RangeText) => startRun({ range: picked });
  const zoom = (picked: TimeRange) => pickRange(absolute(picked));
  const move = (by: (range: TimeRange) => TimeRange) => {
    if (run !== undefined) zoom(by(run.range));
  };
  const look = () => {
    refresh();
    rows.current?.top();
  };
  const filter = (field: string, value: string, polarity: Polarity) =>
    startRun({
      query: addFilter(query, field, value, polarity),
      ...(polarity === "for" && state.record !== undefined ? { record: state.record } : {}),
    });
  const selection = useSelection({ records: found?.records, state, show, rows, stale: logs.stale });
  const paused = useAutoRefresh(state.refresh, scrolled);

  useShortcuts({
    "/": () => bar.current?.focus(),
    d: () => picker.current?.open(),
    r: look,
    h: () => show({ histogram: !state.histogram }),
    w: () => show({ wrap: !state.wrap }),
    j: () => selection.move(1),
    k: () => selection.move(-1),
    Enter: selection.openActive,
    Escape: () => {
      if (picker.current?.close() !== true) selection.close();
    },
    "t z": () => move((shown) => zoomOut(shown, at)),
    "t ArrowLeft": () => move((shown) => shift(shown, -1)),
    "t ArrowRight": () => move((shown) => shift(shown, 1)),
  });

  const linkOf = (change: Partial<LogsState>) => window.location.origin + logsUrl({ ...state, ...change });
  const copyLink = (exact: boolean) =>
    void copy(
      linkOf(exact && run !== undefined ? { range: absolute(run.range), refresh: 0 } : {}),
      exact ? "Absolute link" : "Link",
    );
  const marked = useMemo(() => highlightPattern(query), [query]);
  const shown = found?.run.range ?? run?.range;
  const queryError = error?.position !== undefined || error?.code === "invalid_query" ? error : undefined;

  return (
    <main className={s.page}>
      <h1 className="hidden">Logs</h1>
      <div className={s.search}>
        <QueryBar
          ref={bar}
          query={query}
          error={queryError}
          onRun={(text) => startRun({ query: text })}
        />
        <TimePicker ref={picker} value={state.range} range={range} zone={zone} at={at} onChange={pickRange} />
        {logs.running ? (
          <button type="button" className={s.run} onClick={logs.cancel}>
            Cancel
          </button>
        ) : (
          <button
            type="button"
            className={`primary ${s.run}`}
            onClick={() => startRun({ query: bar.current?.text() ?? query })}
          >
            Run
          </button>
        )}
      </div>
      {typeof range === "string" ? (
        <p className={s.problem} role="alert">
          {range}
        </p>
      ) : (
        state.histogram && (
          <>
            <div className={s.legend} hidden={queryError !== undefined}>
              <Legend bars={bars} stale={logs.stale} onLevel={(level) => filter("severity", level, "for")} />
              {logs.histogramError !== undefined && error === undefined && (
                <span role="alert">The histogram failed: {logs.histogramError.message}</span>
              )}
            </div>
            <Histogram bars={bars} range={range} zone={zone} stale={logs.stale} onZoom={zoom} />
          </>
        )
      )}
      <div className={s.progress} data-running={logs.running} />
      <Toolbar
        state={state}
        found={found}
        paused={paused}
        onChange={show}
        onRefresh={look}
        onCopyLink={copyLink}
      />
      <Banners logs={logs} zone={zone} />
      <div className={s.results} aria-live="off">
        {found !== undefined && found.records.length > 0 ? (
          <Rows
            ref={rows}
            records={found.records}
            activeIndex={selection.index}
            zone={zone}
            withDay={shown !== undefined && !sameDay(shown.start, shown.end - 1, zone)}
            wrap={state.wrap}
            stale={logs.stale}
            marked={marked}
            footer={<Footer logs={logs} />}
            onOpen={selection.open}
            onEnd={selection.atEnd(logs)}
            onScrolled={setScrolled}
          />
        ) : (
          <div className={s.instead}>
            {logs.cancelled && <Cancelled onRetry={logs.retry} />}
            {error !== undefined && <Failure error={error} onRetry={logs.retry} />}
            {found !== undefined && !logs.stale && error === undefined && (
              <Nothing
                query={query}
                range={found.run.range}
                zone={zone}
                onZoomOut={() => move((r) => zoomOut(r, at))}
                onClear={() => startRun({ query: "" })}
                onLastDay={() => pickRange({ from: "now-24h", to: "now" })}
              />
            )}
          </div>
        )}
        {selection.record !== undefined && (
          <Drawer
            record={selection.record}
            at={at}
            permalink={linkOf(recordLink(selection.record.timestamp, selection.record.id, run))}
            onFilter={filter}
            onMove={selection.move}
            onClose={selection.close}
          />
        )}
      </div>
    </main>
  );
}

/** The record as the newest of a range that ends with it: what led up to it lies below. */
function recordLink(timestamp: string, id: string, run: Run | undefined): Partial<LogsState> {
  const end = serverTime(timestamp) + 1;
  const start = Math.min(run?.range.start ?? end - 900_000, end - 60_000);
  return { record: id, order: "newest", refresh: 0, range: absolute({ start, end }) };
}
