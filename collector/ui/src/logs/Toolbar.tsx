// Between histogram and rows: what the search cost, and how its rows are shown.
import { Icon } from "../widgets/Icon";
import { REFRESH_CHOICES, type LogsState } from "./state";
import s from "./Toolbar.module.css";
import type { Found } from "./useLogs";

interface ToolbarProps {
  state: LogsState;
  found: Found | undefined;
  /** Why automatic refresh rests, when it does. */
  paused: string | undefined;
  onChange: (change: Partial<LogsState>) => void;
  onRefresh: () => void;
  onCopyLink: (absolute: boolean) => void;
}

export function Toolbar({ state, found, paused, onChange, onRefresh, onCopyLink }: ToolbarProps) {
  return (
    <div className={s.toolbar}>
      <p className={s.stats} data-testid="stats">
        {found !== undefined && statsLine(found)}
      </p>
      {state.refresh > 0 && paused !== undefined && <span className={s.paused}>{paused}</span>}
      <button
        type="button"
        className="quiet"
        title="Which records come first"
        onClick={() => onChange({ order: state.order === "newest" ? "oldest" : "newest" })}
      >
        <Icon name={state.order === "newest" ? "down" : "up"} />
        {state.order === "newest" ? "Newest first" : "Oldest first"}
      </button>
      <button
        type="button"
        className="quiet"
        aria-pressed={state.wrap}
        title="Wrap long messages (w)"
        onClick={() => onChange({ wrap: !state.wrap })}
      >
        Wrap
      </button>
      <button
        type="button"
        className="quiet"
        aria-pressed={state.histogram}
        title="Show the histogram (h)"
        onClick={() => onChange({ histogram: !state.histogram })}
      >
        Histogram
      </button>
      <button type="button" className="quiet" title="Copy this address" onClick={() => onCopyLink(false)}>
        <Icon name="link" />
        Link
      </button>
      <button
        type="button"
        className="quiet"
        title="Copy a link to exactly this time range, for others and for later"
        onClick={() => onCopyLink(true)}
      >
        Absolute link
      </button>
      <span className={s.refresh}>
        <button type="button" className="quiet icon" aria-label="Refresh" title="Refresh (r)" onClick={onRefresh}>
          <Icon name="refresh" />
        </button>
        <select
          aria-label="Refresh automatically"
          value={state.refresh}
          onChange={(event) => onChange({ refresh: Number(event.target.value) })}
        >
          {REFRESH_CHOICES.map((seconds) => (
            <option key={seconds} value={seconds}>
              {seconds === 0 ? "manual" : seconds < 60 ? `every ${seconds} s` : `every ${seconds / 60} min`}
            </option>
          ))}
        </select>
      </span>
    </div>
  );
}

function statsLine({ records, stats, pages }: Found): string {
  const n = (value: number) => value.toLocaleString("en");
  const blocks =
    stats.blocks_total > 0
      ? `${n(stats.blocks_scanned)} of ${n(stats.blocks_total)} blocks scanned`
      : "nothing sealed in this range";
  return [
    `${n(records.length)} loaded`,
    (pages > 1 ? "first page: " : "") + blocks,
    `${n(stats.rows_scanned)} rows checked`,
    `${n(Math.max(1, Math.round(stats.elapsed_ms)))} ms`,
  ].join(" · ");
}
