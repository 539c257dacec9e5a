// The searches that were run last, newest first, kept in this browser.
import { stored } from "../app/stored";

const MOST = 50;

const searches = stored<readonly string[]>("watchkeeper.searches", (value) =>
  Array.isArray(value) ? value.filter((search) => typeof search === "string").slice(0, MOST) : [],
);

export const useSearches = searches.use;

export function remember(search: string): void {
  const text = search.trim();
  if (text === "" || searches.get()[0] === text) return;
  searches.set([text, ...searches.get().filter((other) => other !== text)].slice(0, MOST));
}

export interface Recall {
  /** Which search is shown: −1 is what was typed. */
  at: number;
  typed: string;
}

/** One search older (1) or newer (−1); undefined at either end. */
export function recall(state: Recall, text: string, by: 1 | -1): { state: Recall; text: string } | undefined {
  const all = searches.get();
  const typed = state.at < 0 ? text : state.typed;
  // The search that stands there already is no step back.
  const from = state.at < 0 && by > 0 && all[0] === text.trim() ? 0 : state.at;
  const at = from + by;
  if (at < -1 || at >= all.length) return undefined;
  return { state: { at, typed }, text: at < 0 ? typed : (all[at] ?? "") };
}
