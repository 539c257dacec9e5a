// The list of keys and of the search syntax, opened by `?`.
import { useEffect, useRef } from "react";
import { EXAMPLES } from "../query/cheatSheet";
import s from "./CheatSheet.module.css";

const KEYS: [string[], string][] = [
  [["/"], "Focus the search"],
  [["Enter"], "Run the search, or open the selected record"],
  [["Tab"], "Take what is offered while writing"],
  [["Ctrl ↑"], "An older search; Ctrl ↓ a newer one"],
  [["j"], "Next record, also ↓"],
  [["k"], "Previous record, also ↑"],
  [["Ctrl F"], "Find among the loaded rows; Enter, Shift Enter"],
  [["Esc"], "Close what is open"],
  [["r"], "Refresh"],
  [["d"], "Choose the time range"],
  [["t", "z"], "Zoom out"],
  [["t", "←"], "Earlier"],
  [["t", "→"], "Later"],
  [["t", "c"], "Copy the time range"],
  [["t", "v"], "Paste a time range"],
  [["f"], "Show or hide the fields"],
  [["h"], "Show or hide the histogram"],
  [["w"], "Wrap long messages"],
  [["p"], "Patterns, and back"],
  [["l"], "Live tail, and back"],
  [["m"], "Metrics: browse what there is"],
  [["v"], "Metrics: table, and back"],
  [["e"], "Metrics: exemplars"],
  [["u"], "Metrics: undo the zoom"],
  [["→"], "Trace: unfold, or the first child; ← folds, or the parent"],
  [["n"], "Trace: next highlighted span; N the one before"],
  [["e"], "Trace: next span that failed; E the one before"],
  [["z"], "Trace: the time axis shows one span, and back"],
  [["g", "l"], "Go to Logs"],
  [["g", "t"], "Go to Traces"],
  [["g", "m"], "Go to Metrics"],
  [["g", "a"], "Go to Alerts"],
  [["?"], "This list"],
];

export function CheatSheet({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      className={s.sheet}
      aria-labelledby="cheat-sheet-title"
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current) dialog.current.close();
      }}
    >
      <div className={s.body}>
        <header className={s.header}>
          <h2 id="cheat-sheet-title">Keys and search syntax</h2>
          <button type="button" onClick={() => dialog.current?.close()}>
            Close
          </button>
        </header>
        <dl className={s.list}>
          {KEYS.map(([keys, meaning]) => (
            <div key={meaning}>
              <dt>
                {keys.map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <dl className={`${s.list} ${s.syntax}`}>
          {EXAMPLES.map(({ kind, example, finds }) => (
            <div key={kind} title={kind}>
              <dt>
                <code>{example}</code>
              </dt>
              <dd>{finds.replaceAll("`", "")}</dd>
            </div>
          ))}
        </dl>
      </div>
    </dialog>
  );
}
