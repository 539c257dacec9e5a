// Short notices at the bottom of the page, such as "Link copied".
import { useSyncExternalStore } from "react";
import s from "./Toasts.module.css";

const SHOWN_MS = 2500;
const listeners = new Set<() => void>();
let current: { id: number; text: string } | undefined;
let count = 0;

function publish(next: typeof current): void {
  current = next;
  for (const listener of listeners) listener();
}

export function toast(text: string): void {
  const id = (count += 1);
  publish({ id, text });
  setTimeout(() => {
    if (current?.id === id) publish(undefined);
  }, SHOWN_MS);
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
  return (
    <div className={s.toasts} role="status">
      {shown !== undefined && (
        <div key={shown.id} className={s.toast}>
          {shown.text}
        </div>
      )}
    </div>
  );
}
