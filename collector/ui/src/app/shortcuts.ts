// Keyboard shortcuts: single keys and two-key sequences such as `t z`, never
// while typing and never with a modifier. Enter stays with a focused control.
import { useEffect, useEffectEvent } from "react";

export type Shortcuts = Record<string, () => void>;

const SEQUENCE_TIMEOUT_MS = 1200;

export function useShortcuts(shortcuts: Shortcuts): void {
  const press = useEffectEvent((keys: string): boolean => {
    const action = shortcuts[keys];
    action?.();
    return action !== undefined;
  });
  const begins = useEffectEvent((key: string) =>
    Object.keys(shortcuts).some((keys) => keys.startsWith(`${key} `)),
  );
  useEffect(() => {
    let first = "";
    let firstAt = 0;
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key !== "Escape" && isTyping(event.target)) return;
      if (event.key === "Enter" && event.target !== document.body) return;
      if (document.querySelector("dialog[open], :popover-open") !== null) return;
      const sequence = first !== "" && event.timeStamp - firstAt < SEQUENCE_TIMEOUT_MS;
      const keys = sequence ? `${first} ${event.key}` : event.key;
      first = "";
      if (press(keys)) event.preventDefault();
      else if (begins(event.key)) {
        first = event.key;
        firstAt = event.timeStamp;
      }
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches("input, textarea, select");
}
