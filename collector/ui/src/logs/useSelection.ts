// Which record the keyboard is on and which one the drawer shows. The drawer's
// record is in the URL; it stays open when a refresh brings rows without it.
import { useCallback, useMemo, useState, type RefObject } from "react";
import type { LogRecord } from "../api/types";
import type { RowsHandle } from "./Rows";
import type { LogsView } from "./useLogsView";

export interface Selection {
  /** The row the keyboard is on, -1 when it is on none. */
  index: number;
  /** The record shown in the drawer. */
  record: LogRecord | undefined;
  open: (index: number) => void;
  openActive: () => void;
  move: (by: -1 | 1) => void;
  close: () => void;
}

interface SelectionInput {
  records: LogRecord[] | undefined;
  view: LogsView;
  rows: RefObject<RowsHandle | null>;
}

const NONE: LogRecord[] = [];

export function useSelection({ records = NONE, view, rows }: SelectionInput): Selection {
  const { state, show } = view;
  const [active, setActive] = useState<string>();
  const [opened, setOpened] = useState<LogRecord>();
  const current = state.record ?? active;
  const index = useMemo(
    () => (current === undefined ? -1 : records.findIndex((record) => record.id === current)),
    [records, current],
  );
  const inRows = state.record === undefined ? undefined : records[index];
  if (inRows !== undefined && inRows !== opened) setOpened(inRows);
  const kept = opened !== undefined && opened.id === state.record ? opened : undefined;

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
    record: inRows ?? kept,
    open,
    openActive: () => go(index, true),
    move: (by) => {
      const from = index < 0 && by < 0 ? records.length : index;
      go(Math.min(records.length - 1, Math.max(0, from + by)), state.record !== undefined);
    },
    close: () => {
      if (state.record === undefined) return;
      setActive(state.record);
      show({ record: undefined });
    },
  };
}
