// The button that refreshes, and the choice how often it happens by itself.
import { Tool } from "../widgets/Tool";
import { refresh } from "./location";
import { REFRESH_CHOICES } from "./refresh";
import s from "./RefreshControl.module.css";

interface RefreshControlProps {
  /** Seconds between automatic refreshes; 0 is by hand. */
  seconds: number;
  onChange: (seconds: number) => void;
}

export function RefreshControl({ seconds, onChange }: RefreshControlProps) {
  return (
    <span className={s.refresh}>
      <Tool icon="refresh" name="Refresh" title="Refresh (r)" onClick={refresh} />
      <select
        aria-label="Refresh automatically"
        value={seconds}
        onChange={(event) => onChange(Number(event.target.value))}
      >
        {REFRESH_CHOICES.map((choice) => (
          <option key={choice} value={choice}>
            {choice === 0 ? "manual" : choice < 60 ? `every ${choice} s` : `every ${choice / 60} min`}
          </option>
        ))}
      </select>
    </span>
  );
}
