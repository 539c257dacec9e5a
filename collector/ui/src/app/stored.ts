// A value kept in local storage and shared by all components that ask for it.
import { useSyncExternalStore } from "react";

export interface Stored<T> {
  get: () => T;
  set: (value: T) => void;
  use: () => T;
}

/** `read` turns whatever was stored, or undefined, into a value that can be relied upon. */
export function stored<T>(key: string, read: (value: unknown) => T): Stored<T> {
  const listeners = new Set<() => void>();
  let current = read(load(key));
  const get = () => current;
  const set = (value: T) => {
    current = value;
    for (const listener of listeners) listener();
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch {
      // Storage may be full or forbidden: the value then lasts as long as the page.
    }
  };
  const subscribe = (listener: () => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const use = () => useSyncExternalStore(subscribe, get);
  return { get, set, use };
}

function load(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null") as unknown;
  } catch {
    return undefined;
  }
}
