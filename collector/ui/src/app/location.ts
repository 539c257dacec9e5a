// The browser's location as React state, with the instant it was looked at.
//
// `now` in a URL means that instant. Going back restores it with the URL, so
// that the page shows again what it showed; a reload or a refresh renews it.
import { useSyncExternalStore } from "react";

export interface Location {
  path: string;
  search: string;
  /** What `now` means here, Unix ms. */
  at: number;
}

export interface NavigateOptions {
  /** Replaces the history entry instead of adding one. */
  replace?: boolean;
  /** Keeps the meaning of `now`: the same data is shown in another way. */
  sameTime?: boolean;
}

const listeners = new Set<() => void>();
/** How each page was left. */
const lastSearches = new Map<string, string>();
let current = read(Date.now());

function read(at: number): Location {
  return { path: window.location.pathname, search: window.location.search, at };
}

function publish(location: Location): void {
  lastSearches.set(current.path, current.search);
  current = location;
  for (const listener of listeners) listener();
}

window.history.replaceState({ at: current.at }, "");
window.addEventListener("popstate", (event) => {
  const state = event.state as { at?: number } | null;
  publish(read(state?.at ?? Date.now()));
});

export function navigate(url: string, options: NavigateOptions = {}): void {
  const at = options.sameTime === true ? current.at : Date.now();
  const here = current.path + current.search === url;
  if (options.replace === true || here) window.history.replaceState({ at }, "", url);
  else window.history.pushState({ at }, "", url);
  publish(read(at));
}

/** Looks again at the same URL: `now` is now. */
export function refresh(): void {
  navigate(window.location.pathname + window.location.search, { replace: true });
}

/** The address of a page as it was left; of the page one is on, its fresh state. */
export function pageAddress(path: string): string {
  return path === current.path ? path : path + (lastSearches.get(path) ?? "");
}

export function currentLocation(): Location {
  return current;
}

export function useLocation(): Location {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, currentLocation);
}
