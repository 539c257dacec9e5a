// Which record the keyboard is on and which one the drawer shows. The drawer's
// record is in the URL; it stays open when a refresh brings rows without it.
import { useMemo, useState, type RefObject } from "react";
import type { LogRecord } from "../api/types";
import type { RowsHandle } from "./Rows";
import type { LogsState } from "./state";
import type { Logs } from "./useLogs";

interface SelectionInput {
  records: LogRecord[] | undefined;
  state: LogsState;
  show: (change: Partial<LogsState>, replace?: boolean) => void;
  rows: RefObject<RowsHandle | null>;
  stale: boolean;
}

const NONE: LogRecord[] = [];

export function useSelection({ records = NONE, state, show, rows, stale }: SelectionInput) {
  const [active, setActive] = useState<string>();
  const [opened, setOpened] = useState<LogRecord>();
  const current = state.record ?? active;
  const index = useMemo(
    () => (current === undefined ? -1 : records.findIndex((record) => record.id === current)),
    [records, current],
  );
  const inRows = records[index];
  if (state.record !== undefined && inRows !== undefined && inRows !== opened) setOpened(inRows);
  const record = state.record === undefined ? undefined : (inRows ?? (opened?.id === state.record ? opened : undefined));

  const go = (to: number, open: boolean) => {
    const target = records[to];
    if (target === undefined) return;
    setActive(target.id);
    if (open) show({ record: target.id }, state.record !== undefined);
    rows.current?.reveal(to);
  };
  return {
    index,
    record,
    open: (to: number) => go(to, true),
    openActive: () => {
      if (index >= 0) go(index, true);
    },
    move: (by: -1 | 1) => {
      const from = index < 0 && by < 0 ? records.length : index;
      go(Math.min(records.length - 1, Math.max(0, from + by)), state.record !== undefined);
    },
    close: () => {
      if (state.record === undefined) return;
      setActive(state.record);
      show({ record: undefined });
    },
    /** What to do when the last rows come into sight. */
    atEnd: (logs: Logs) => () => {
      if (logs.hasMore && !logs.loadingMore && !stale && logs.pageError === undefined) logs.loadMore();
    },
  };
}
