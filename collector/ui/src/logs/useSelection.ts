// Which record the keyboard is on and which one the drawer shows. The drawer's
// record is in the URL; it stays open when the rows come to be without it.
import { useCallback, useEffect, useMemo, useRef, useState, type RefObject } from "react";
import type { LogRecord } from "../api/types";
import { useRecord } from "./record/useRecord";
import type { RowsHandle } from "./table/Rows";
import type { LogsView } from "./useLogsView";

export interface Selection {
  /** The row the keyboard is on, -1 when it is on none. */
  index: number;
  /** The record shown in the drawer. */
  record: LogRecord | undefined;
  /** Why the URL's record cannot be shown. */
  problem: string | undefined;
  open: (index: number) => void;
  /** Shows a record that need not be among the rows. */
  openRecord: (record: LogRecord) => void;
  openActive: () => void;
  move: (by: -1 | 1) => void;
  /** Puts the keyboard on a row; the drawer follows when it is open. */
  focus: (index: number) => void;
  close: () => void;
}

interface SelectionInput {
  records: readonly LogRecord[] | undefined;
  /** More rows are about to come. */
  waiting: boolean;
  view: LogsView;
  rows: RefObject<RowsHandle | null>;
}

const NONE: LogRecord[] = [];

export function useSelection({ records = NONE, waiting, view, rows }: SelectionInput): Selection {
  const { state, show } = view;
  const [active, setActive] = useState<string>();
  const [opened, setOpened] = useState<LogRecord>();
  const current = state.record ?? active;
  const index = useMemo(
    () => (current === undefined ? -1 : records.findIndex((record) => record.id === current)),
    [records, current],
  );
  const inRows = state.record === undefined ? undefined : records[index];
  if (inRows !== undefined && inRows.id !== opened?.id) setOpened(inRows);
  const kept = opened !== undefined && opened.id === state.record ? opened : undefined;
  const isElsewhere = state.record !== undefined && inRows === undefined && kept === undefined && !waiting;
  const elsewhere = useRecord(isElsewhere ? state.record : undefined);
  useFirstSight(state.record, index, rows);

  const go = useCallback(
    (to: number, open: boolean) => {
      const target = records[to];
      if (target === undefined) return;
      setActive(target.id);
      // The first record opened is a step that Back takes back; moving on is not.
      if (open) show({ record: target.id }, state.record !== undefined);
      rows.current?.reveal(to);
    },
    [records, show, state.record, rows],
  );
  const open = useCallback((to: number) => go(to, true), [go]);
  return {
    index,
    record: inRows ?? kept ?? elsewhere.record,
    problem: isElsewhere ? elsewhere.error?.message : undefined,
    open,
    openRecord: (record) => {
      setOpened(record);
      show({ record: record.id, tab: "fields" });
    },
    openActive: () => go(index, true),
    move: (by) => {
      const from = index < 0 && by < 0 ? records.length : index;
      go(Math.min(records.length - 1, Math.max(0, from + by)), state.record !== undefined);
    },
    focus: (to) => go(to, state.record !== undefined),
    close: () => {
      if (state.record === undefined) return;
      setActive(state.record);
      show({ record: undefined });
    },
  };
}

/** Scrolls to the URL's record once, when it is first among the rows. */
function useFirstSight(record: string | undefined, index: number, rows: RefObject<RowsHandle | null>): void {
  const seen = useRef<string>(undefined);
  useEffect(() => {
    if (record === seen.current || index < 0) return;
    seen.current = record;
    rows.current?.reveal(index);
  }, [record, index, rows]);
}
