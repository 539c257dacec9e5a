// A row of tabs: one is chosen; arrow keys go from one to the next.
import type { KeyboardEvent, ReactNode } from "react";
import s from "./Tabs.module.css";

interface TabsProps<T extends string> {
  /** What the tabs choose. */
  name: string;
  tabs: readonly { id: T; label: ReactNode; title?: string }[];
  chosen: T;
  onChoose: (id: T) => void;
}

export function Tabs<T extends string>({ name, tabs, chosen, onChoose }: TabsProps<T>) {
  const press = (event: KeyboardEvent<HTMLElement>) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const at = tabs.findIndex((tab) => tab.id === chosen) + by;
    const next = tabs[at];
    if (by === 0 || next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const buttons = event.currentTarget.querySelectorAll<HTMLElement>("[role=tab]");
    buttons[at]?.focus();
    onChoose(next.id);
  };
  return (
    <div className={s.tabs} role="tablist" aria-label={name} onKeyDown={press}>
      {tabs.map((tab) => (
        <button
          key={tab.id}
          type="button"
          role="tab"
          className="quiet"
          aria-selected={tab.id === chosen}
          tabIndex={tab.id === chosen ? 0 : -1}
          title={tab.title}
          onClick={() => onChoose(tab.id)}
        >
          {tab.label}
        </button>
      ))}
    </div>
  );
}
