// Texts that were run last, newest first, kept in this browser, and the way back
// through them while writing.
import { stored } from "./stored";

const MOST = 50;

export interface Recall {
  /** Which text is shown: −1 is what was typed. */
  at: number;
  typed: string;
}

export interface Recent {
  use: () => readonly string[];
  remember: (text: string) => void;
  /** One text older (1) or newer (−1); undefined at either end. */
  recall: (state: Recall, text: string, by: 1 | -1) => { state: Recall; text: string } | undefined;
}

/** Where recalling begins: at what was typed. */
export const TYPED: Recall = { at: -1, typed: "" };

/** `key` names the list in local storage. */
export function recent(key: string): Recent {
  const texts = stored<readonly string[]>(key, (value) =>
    Array.isArray(value) ? value.filter((text) => typeof text === "string").slice(0, MOST) : [],
  );
  return {
    use: texts.use,
    remember: (run) => {
      const text = run.trim();
      if (text === "" || texts.get()[0] === text) return;
      texts.set([text, ...texts.get().filter((other) => other !== text)].slice(0, MOST));
    },
    recall: (state, text, by) => {
      const all = texts.get();
      const typed = state.at < 0 ? text : state.typed;
      // The text that stands there already is no step back.
      const from = state.at < 0 && by > 0 && all[0] === text.trim() ? 0 : state.at;
      const at = from + by;
      if (at < -1 || at >= all.length) return undefined;
      return { state: { at, typed }, text: at < 0 ? typed : (all[at] ?? "") };
    },
  };
}
