// Whether the page is dark now: a canvas has to be painted again when that changes.
import { useSyncExternalStore } from "react";
import { usePreferences } from "../../app/preferences";

const system = window.matchMedia("(prefers-color-scheme: dark)");

export function useDark(): boolean {
  const { theme } = usePreferences();
  const systemDark = useSyncExternalStore(
    (listener) => {
      system.addEventListener("change", listener);
      return () => system.removeEventListener("change", listener);
    },
    () => system.matches,
  );
  return theme === "auto" ? systemDark : theme === "dark";
}
