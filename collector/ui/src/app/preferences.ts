// What the reader prefers on this machine: theme, time zone, which panels are
// open and how wide.
// Kept in local storage, shared by all components that ask.
import type { Zone } from "../time/format";
import { stored } from "./stored";

export type Theme = "auto" | "light" | "dark";

export interface Preferences {
  theme: Theme;
  zone: Zone;
  /** Pixels. */
  drawerWidth: number;
  /** Whether the field sidebar is open, and its pixels. */
  sidebar: boolean;
  sidebarWidth: number;
  /** Fields whose top values the sidebar shows. */
  facets: readonly string[];
  /** Pixels of the names in a trace's waterfall. */
  spanNamesWidth: number;
}

const NARROW_PX = 900;
const DEFAULTS: Preferences = {
  theme: "auto",
  zone: "local",
  drawerWidth: 480,
  sidebar: window.innerWidth > NARROW_PX,
  sidebarWidth: 250,
  facets: ["severity", "service"],
  spanNamesWidth: 360,
};

const preferences = stored("watchkeeper.preferences", (value): Preferences => {
  const saved = (value ?? {}) as Partial<Preferences>;
  return {
    theme: saved.theme === "light" || saved.theme === "dark" ? saved.theme : "auto",
    zone: saved.zone === "utc" ? "utc" : "local",
    drawerWidth: Number(saved.drawerWidth) || DEFAULTS.drawerWidth,
    sidebar: typeof saved.sidebar === "boolean" ? saved.sidebar : DEFAULTS.sidebar,
    sidebarWidth: Number(saved.sidebarWidth) || DEFAULTS.sidebarWidth,
    facets: Array.isArray(saved.facets) ? saved.facets.map(String) : DEFAULTS.facets,
    spanNamesWidth: Number(saved.spanNamesWidth) || DEFAULTS.spanNamesWidth,
  };
});

export const usePreferences = preferences.use;

export function applyTheme(): void {
  const root = document.documentElement;
  const { theme } = preferences.get();
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
}

export function prefer(change: Partial<Preferences>): void {
  preferences.set({ ...preferences.get(), ...change });
  applyTheme();
}

/** What is preferred now, for what happens on a key or a click. */
export const currentPreferences = preferences.get;
