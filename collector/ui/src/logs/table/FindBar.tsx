// Finds text among the loaded rows: Enter and Shift+Enter go through them.
import { useEffect, useRef, type KeyboardEvent } from "react";
import { Icon } from "../../widgets/Icon";
import s from "./FindBar.module.css";

interface FindBarProps {
  text: string;
  /** How many rows show the text, and which of them is the selected one, from 1; 0 is none. */
  count: number;
  current: number;
  onText: (text: string) => void;
  onStep: (direction: -1 | 1) => void;
  onClose: () => void;
}

export function FindBar({ text, count, current, onText, onStep, onClose }: FindBarProps) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.select(), []);
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter") onStep(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <search className={s.bar} aria-label="Find in the rows" onKeyDown={press}>
      <input
        ref={input}
        type="text"
        aria-label="Find in the loaded rows"
        placeholder="Find in the loaded rows"
        spellCheck={false}
        value={text}
        onChange={(event) => onText(event.target.value)}
      />
      <span className={s.count} role="status">
        {text !== "" && (count === 0 ? "none" : `${current > 0 ? `${current} of ` : ""}${count.toLocaleString("en")}`)}
      </span>
      <button type="button" className="quiet icon" aria-label="Previous match" title="Previous (Shift+Enter)" onClick={() => onStep(-1)}>
        <Icon name="up" />
      </button>
      <button type="button" className="quiet icon" aria-label="Next match" title="Next (Enter)" onClick={() => onStep(1)}>
        <Icon name="down" />
      </button>
      <button type="button" className="quiet icon" aria-label="Close find" title="Close (Esc)" onClick={onClose}>
        <Icon name="close" />
      </button>
    </search>
  );
}
