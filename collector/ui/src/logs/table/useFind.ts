// The find bar's state: what is looked for among the loaded rows. Ctrl+F or ⌘F
// opens it, since the browser's own find sees only the rows in sight; pressed
// again in the bar, it is the browser's.
import { useDeferredValue, useEffect, useEffectEvent, useMemo, useState } from "react";
import type { LogRecord } from "../../api/types";
import type { Column } from "./columns";
import { findPattern, findRows, nextFound, ShownTexts } from "./find";

export interface Find {
  open: boolean;
  text: string;
  pattern: RegExp | undefined;
  count: number;
  /** Which of the found rows is selected, from 1; 0 is none. */
  current: number;
  show: () => void;
  close: () => void;
  look: (text: string) => void;
  step: (direction: -1 | 1) => void;
}

interface FindInput {
  records: readonly LogRecord[] | undefined;
  columns: readonly Column[];
  /** The selected row. */
  index: number;
  onFound: (index: number) => void;
}

const NONE: LogRecord[] = [];

export function useFind({ records = NONE, columns, index, onFound }: FindInput): Find {
  const [open, setOpen] = useState(false);
  const [text, look] = useState("");
  const wanted = useDeferredValue(open ? text : "");
  const shown = useMemo(() => new ShownTexts(columns), [columns]);
  const found = useMemo(() => findRows(records, shown, wanted), [records, shown, wanted]);
  const pattern = useMemo(() => findPattern(wanted), [wanted]);

  const press = useEffectEvent((event: KeyboardEvent) => {
    const wants = event.key === "f" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (!wants || records.length === 0 || document.querySelector("dialog[open]") !== null) return;
    const inBar = event.target instanceof Element && event.target.closest("search") !== null;
    if (inBar) return;
    event.preventDefault();
    setOpen(true);
  });
  useEffect(() => {
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);

  return {
    open,
    text,
    pattern,
    count: found.length,
    current: found.indexOf(index) + 1,
    show: () => setOpen(true),
    close: () => setOpen(false),
    look,
    step: (direction) => {
      // Enter may come before the rows have caught up with what was typed.
      const current = wanted === text ? found : findRows(records, shown, text);
      const next = nextFound(current, index, direction);
      if (next !== undefined) onFound(next);
    },
  };
}
