// What the reader prefers on this machine: theme, time zone, drawer width.
// Kept in local storage, shared by all components that ask.
import { useSyncExternalStore } from "react";
import type { Zone } from "../time/format";

export type Theme = "auto" | "light" | "dark";

export interface Preferences {
  theme: Theme;
  zone: Zone;
  /** Pixels. */
  drawerWidth: number;
}

const KEY = "watchkeeper.preferences";
const DEFAULTS: Preferences = { theme: "auto", zone: "local", drawerWidth: 480 };
const listeners = new Set<() => void>();
let current = load();

function load(): Preferences {
  try {
    const saved = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Preferences>;
    return {
      theme: saved.theme === "light" || saved.theme === "dark" ? saved.theme : "auto",
      zone: saved.zone === "utc" ? "utc" : "local",
      drawerWidth: Number(saved.drawerWidth) || DEFAULTS.drawerWidth,
    };
  } catch {
    return DEFAULTS;
  }
}

export function applyTheme(): void {
  const root = document.documentElement;
  if (current.theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = current.theme;
}

export function prefer(change: Partial<Preferences>): void {
  current = { ...current, ...change };
  applyTheme();
  for (const listener of listeners) listener();
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // Storage may be full or forbidden: the preference then lasts as long as the page.
  }
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}
