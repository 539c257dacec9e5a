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
  /** How often an address was looked at again: what it shows is asked for anew each time. */
  looks: number;
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
let current = read(Date.now(), 0);

function read(at: number, looks: number): Location {
  return { path: window.location.pathname, search: window.location.search, at, looks };
}

function publish(location: Location): void {
  lastSearches.set(current.path, current.search);
  current = location;
  for (const listener of listeners) listener();
}

window.history.replaceState({ at: current.at }, "");
window.addEventListener("popstate", (event) => {
  const state = event.state as { at?: number } | null;
  publish(read(state?.at ?? Date.now(), current.looks));
});

export function navigate(url: string, options: NavigateOptions = {}): void {
  const at = options.sameTime === true ? current.at : Date.now();
  const here = normal(current.path + current.search) === normal(url);
  if (options.replace === true || here) window.history.replaceState({ at }, "", url);
  else window.history.pushState({ at }, "", url);
  publish(read(at, here && options.sameTime !== true ? current.looks + 1 : current.looks));
}

/** The same for addresses that say the same, however their parameters are escaped and ordered. */
function normal(url: string): string {
  const { pathname, searchParams } = new URL(url, window.location.origin);
  searchParams.sort();
  return `${pathname}?${searchParams.toString()}`;
}

/** Looks again at the same URL: `now` is now, and times that stand still are asked about anew. */
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
