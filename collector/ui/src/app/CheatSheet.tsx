// The list of keys and of the search syntax, opened by `?`.
import { useEffect, useRef } from "react";
import s from "./CheatSheet.module.css";

const KEYS: [string[], string][] = [
  [["/"], "Focus the search"],
  [["Enter"], "Run the search, or open the selected record"],
  [["j"], "Next record"],
  [["k"], "Previous record"],
  [["Esc"], "Close what is open"],
  [["r"], "Refresh"],
  [["d"], "Choose the time range"],
  [["t", "z"], "Zoom out"],
  [["t", "←"], "Earlier"],
  [["t", "→"], "Later"],
  [["h"], "Show or hide the histogram"],
  [["w"], "Wrap long messages"],
  [["g", "l"], "Go to Logs"],
  [["g", "a"], "Go to Alerts"],
  [["?"], "This list"],
];

const SYNTAX: [string, string][] = [
  ["timeout", "the word in the message"],
  ['"connection refused"', "the phrase"],
  ["conn*", "words that begin so"],
  ["service:task-api", "field and value"],
  ['http.route:"/tasks/{id}"', "quote what is no plain word"],
  ["severity:>=warn", "comparison: > >= < <="],
  ["error.type:*", "records that have the field"],
  ["a b", "both, as a AND b"],
  ["(a OR b) NOT c", "OR, NOT (or -c), brackets"],
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
          {SYNTAX.map(([example, meaning]) => (
            <div key={example}>
              <dt>
                <code>{example}</code>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
      </div>
    </dialog>
  );
}
