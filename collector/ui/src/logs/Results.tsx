// The lower part of the Logs page: the rows, or why there are none, and the
// record that is open.
import { useCallback, useEffect, useMemo, type RefObject } from "react";
import { highlightPattern } from "../query/highlight";
import { sameDay, type Zone } from "../time/format";
import { absolute, serverTime } from "../time/range";
import { Drawer } from "./Drawer";
import s from "./LogsPage.module.css";
import { Cancelled, Failure, Footer, Nothing } from "./Outcome";
import { Rows, type RowsHandle } from "./Rows";
import type { LogsState } from "./state";
import type { Logs, Run } from "./useLogs";
import type { LogsView } from "./useLogsView";
import type { Selection } from "./useSelection";

interface ResultsProps {
  view: LogsView;
  logs: Logs;
  selection: Selection;
  rows: RefObject<RowsHandle | null>;
  zone: Zone;
  onScrolled: (scrolled: boolean) => void;
}

export function Results({ view, logs, selection, rows, zone, onScrolled }: ResultsProps) {
  const { state, run } = view;
  const { found, error } = logs;
  const marked = useMemo(() => highlightPattern(state.query), [state.query]);
  const shown = found?.run.range ?? run?.range;
  const { hasMore, loadingMore, stale, pageError, loadMore } = logs;
  const nextPage = useCallback(() => {
    if (hasMore && !loadingMore && !stale && pageError === undefined) loadMore();
  }, [hasMore, loadingMore, stale, pageError, loadMore]);
  // Another run begins at its first row.
  useEffect(() => {
    rows.current?.top();
  }, [rows, run]);

  return (
    <div className={s.results}>
      {found !== undefined && found.records.length > 0 ? (
        <Rows
          ref={rows}
          records={found.records}
          activeIndex={selection.index}
          zone={zone}
          withDay={shown !== undefined && !sameDay(shown.start, shown.end - 1, zone)}
          wrap={state.wrap}
          stale={stale && logs.running}
          marked={marked}
          footer={<Footer logs={logs} />}
          onOpen={selection.open}
          onMove={selection.move}
          onEnd={nextPage}
          onScrolled={onScrolled}
        />
      ) : (
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
      )}
      {selection.record !== undefined && (
        <Drawer
          record={selection.record}
          at={view.at}
          permalink={view.link(recordLink(selection.record.timestamp, selection.record.id, run))}
          onFilter={view.filter}
          onMove={selection.move}
          onClose={selection.close}
        />
      )}
    </div>
  );
}

/** The record as the newest of a range that ends with it: what led up to it lies below. */
function recordLink(timestamp: string, id: string, run: Run | undefined): Partial<LogsState> {
  const end = serverTime(timestamp) + 1;
  const start = Math.min(run?.range.start ?? end - 900_000, end - 60_000);
  return { record: id, order: "newest", refresh: 0, range: absolute({ start, end }) };
}
