// The lower part of the Logs page: fields, then records, patterns or the live
// tail, then the record that is open.
import { useCallback, useEffect, useMemo, type ReactNode, type RefObject } from "react";
import { usePreferences } from "../app/preferences";
import type { LogRecord } from "../api/types";
import { highlightPattern } from "../query/highlight";
import { sameDay, type Zone } from "../time/format";
import { absolute, serverTime } from "../time/range";
import { Sidebar } from "./facets/Sidebar";
import s from "./LogsPage.module.css";
import { Cancelled, Failure, Footer, Nothing } from "./Outcome";
import { PatternsView } from "./patterns/PatternsView";
import { Drawer } from "./record/Drawer";
import type { LogsState } from "./state";
import { FindBar } from "./table/FindBar";
import { Rows, type RowsHandle, type ScrollPosition } from "./table/Rows";
import type { Find } from "./table/useFind";
import { LiveView } from "./tail/LiveView";
import type { Live } from "./tail/useLive";
import type { Logs, Run } from "./useLogs";
import type { LogsView } from "./useLogsView";
import type { Selection } from "./useSelection";

export interface ResultsProps {
  view: LogsView;
  logs: Logs;
  live: Live;
  selection: Selection;
  find: Find;
  rows: RefObject<RowsHandle | null>;
  zone: Zone;
  onScrolled: (scrolled: boolean) => void;
}

export function Results(props: ResultsProps) {
  const { view, selection, zone } = props;
  const { state, run } = view;
  const { sidebar } = usePreferences();
  return (
    <div className={s.results}>
      {sidebar && <Sidebar run={run} columns={state.columns} by={state.by} actions={view.fields} />}
      {state.mode === "records" && <Records {...props} />}
      {state.mode === "live" && <LiveRecords {...props} />}
      {state.mode === "patterns" && run !== undefined && (
        <PatternsView
          run={run}
          compare={state.compare}
          at={view.at}
          zone={zone}
          onCompare={(compare) => view.show({ compare })}
          onSearch={view.narrow}
          onOpen={selection.openRecord}
        />
      )}
      {selection.record !== undefined && (
        <Drawer
          record={selection.record}
          tab={state.tab}
          columns={state.columns}
          at={view.at}
          permalink={view.link(recordLink(selection.record.timestamp, selection.record.id, run))}
          actions={view.fields}
          onTab={(tab) => view.show({ tab }, true)}
          onOpen={selection.openRecord}
          onMove={selection.move}
          onClose={selection.close}
        />
      )}
    </div>
  );
}

function Records(props: ResultsProps) {
  const { view, logs, rows, zone } = props;
  const { state, run } = view;
  const { found, error } = logs;
  const shown = found?.run.range ?? run?.range;
  const { hasMore, loadingMore, stale, stopped, pageError, loadMore } = logs;
  const nextPage = useCallback(() => {
    if (hasMore && !loadingMore && !stale && !stopped && pageError === undefined) loadMore();
  }, [hasMore, loadingMore, stale, stopped, pageError, loadMore]);
  // Another run begins at its first row.
  useEffect(() => {
    rows.current?.top();
  }, [rows, run]);

  if (found !== undefined && found.records.length > 0) {
    return (
      <Table
        {...props}
        records={found.records}
        withDay={shown !== undefined && !sameDay(shown.start, shown.end - 1, zone)}
        stale={stale && logs.running}
        footer={<Footer logs={logs} />}
        onEnd={nextPage}
        onScroll={({ scrolled }) => props.onScrolled(scrolled)}
      />
    );
  }
  return (
    <div className={s.instead}>
      {logs.running && error === undefined && <p className={s.searching}>Searching…</p>}
      {logs.cancelled && <Cancelled onRetry={logs.retry} />}
      {error !== undefined && <Failure error={error} onRetry={logs.retry} />}
      {found !== undefined && !stale && error === undefined && (
        <Nothing
          query={state.query}
          range={found.run.range}
          zone={zone}
          onZoomOut={view.zoomOut}
          onClear={() => view.start({ query: "" })}
          onLastDay={() => view.pickRange({ from: "now-24h", to: "now" })}
        />
      )}
    </div>
  );
}

function LiveRecords(props: ResultsProps) {
  const { live } = props;
  const { shown } = live.buffer;
  return (
    <LiveView live={live}>
      <Table
        {...props}
        records={shown}
        withDay={false}
        stale={false}
        footer=" "
        follow={live.following}
        onScroll={live.scrolled}
      />
    </LiveView>
  );
}

interface TableProps extends ResultsProps {
  records: readonly LogRecord[];
  withDay: boolean;
  stale: boolean;
  footer: ReactNode;
  follow?: boolean;
  onEnd?: () => void;
  onScroll: (position: ScrollPosition) => void;
}

function Table({ view, selection, find, rows, zone, records, withDay, ...rest }: TableProps) {
  const { stale, footer, follow = false, onEnd, onScroll } = rest;
  const { query, columns, wrap, roomy } = view.state;
  const search = useMemo(() => highlightPattern(query), [query]);
  const marks = useMemo(() => ({ search, find: find.pattern }), [search, find.pattern]);
  const layout = useMemo(() => ({ columns, zone, withDay, wrap, roomy }), [columns, zone, withDay, wrap, roomy]);
  return (
    <div className={s.table}>
      {find.open && (
        <FindBar
          text={find.text}
          count={find.count}
          current={find.current}
          onText={find.look}
          onStep={find.step}
          onClose={find.close}
        />
      )}
      <Rows
        ref={rows}
        records={records}
        activeIndex={selection.index}
        layout={layout}
        stale={stale}
        marks={marks}
        columnActions={view.columns}
        footer={footer}
        follow={follow}
        onOpen={selection.open}
        onMove={selection.move}
        onScroll={onScroll}
        {...(onEnd === undefined ? {} : { onEnd })}
      />
    </div>
  );
}

/** The record as the newest of a range that ends with it: what led up to it lies below. */
function recordLink(timestamp: string, id: string, run: Run | undefined): Partial<LogsState> {
  const end = serverTime(timestamp) + 1;
  const start = Math.min(run?.range.start ?? end - 900_000, end - 60_000);
  return { mode: "records", record: id, order: "newest", refresh: 0, range: absolute({ start, end }) };
}
