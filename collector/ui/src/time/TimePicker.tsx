// Chooses the time range: presets, or two times in any form the URL takes; with
// buttons to move and widen it.
import { useEffect, useId, useImperativeHandle, useRef, useState, type Ref, type SubmitEvent } from "react";
import { Icon } from "../widgets/Icon";
import { formatDuration } from "./duration";
import { rangeLabel, zoneName, type Zone } from "./format";
import {
  absolute,
  isRelative,
  parseTime,
  PRESETS,
  resolveRange,
  shift,
  zoomOut,
  type RangeText,
  type TimeRange,
} from "./range";
import s from "./TimePicker.module.css";

export interface TimePickerHandle {
  open: () => void;
  close: () => boolean;
}

interface TimePickerProps {
  value: RangeText;
  /** The value resolved, or what is wrong with it. */
  range: TimeRange | string;
  zone: Zone;
  /** What `now` means. */
  at: number;
  onChange: (range: RangeText) => void;
  ref: Ref<TimePickerHandle>;
}

export function TimePicker({ value, range, zone, at, onChange, ref }: TimePickerProps) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const resolved = typeof range === "string" ? undefined : range;
  const move = (by: (range: TimeRange) => TimeRange) => {
    if (resolved !== undefined) onChange(absolute(by(resolved)));
  };
  const choose = (chosen: RangeText) => {
    setOpen(false);
    onChange(chosen);
    button.current?.focus();
  };

  useImperativeHandle(ref, () => ({
    open: () => setOpen(true),
    close: () => {
      setOpen(false);
      if (open) button.current?.focus();
      return open;
    },
  }));

  useEffect(() => {
    if (!open) return undefined;
    const outside = (event: PointerEvent) => {
      if (event.target instanceof Node && box.current?.contains(event.target) === false) setOpen(false);
    };
    window.addEventListener("pointerdown", outside);
    return () => window.removeEventListener("pointerdown", outside);
  }, [open]);

  return (
    <div ref={box} className={s.picker}>
      <div className={s.buttons}>
        <button type="button" aria-label="Earlier" title="Earlier (t ←)" onClick={() => move((r) => shift(r, -1))}>
          <Icon name="left" />
        </button>
        <button
          ref={button}
          type="button"
          className={s.current}
          aria-expanded={open}
          aria-haspopup="dialog"
          title="Time range (d)"
          onClick={() => setOpen(!open)}
        >
          <Icon name="clock" />
          <span>{label(value, resolved, zone, at)}</span>
          {resolved !== undefined && !isPreset(value) && (
            <span className={s.length}>{formatDuration(resolved.end - resolved.start)}</span>
          )}
        </button>
        <button type="button" aria-label="Later" title="Later (t →)" onClick={() => move((r) => shift(r, 1))}>
          <Icon name="right" />
        </button>
        <button
          type="button"
          aria-label="Zoom out"
          title="Zoom out (t z)"
          onClick={() => move((r) => zoomOut(r, at))}
        >
          <Icon name="zoomOut" />
        </button>
      </div>
      {open && <Panel value={value} zone={zone} at={at} onChoose={choose} />}
    </div>
  );
}

interface PanelProps {
  value: RangeText;
  zone: Zone;
  at: number;
  onChoose: (range: RangeText) => void;
}

function Panel({ value, zone, at, onChoose }: PanelProps) {
  const [from, setFrom] = useState(value.from);
  const [to, setTo] = useState(value.to);
  const ids = { from: useId(), to: useId(), problem: useId() };
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.select(), []);
  const range = resolveRange({ from, to }, at, zone);
  const problem = typeof range === "string" ? range : undefined;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (problem !== undefined) return;
    onChoose({ from: settled(from, at, zone), to: settled(to, at, zone) });
  };
  return (
    <div className={s.panel} role="dialog" aria-label="Time range">
      <form onSubmit={submit} className={s.form}>
        <label htmlFor={ids.from}>From</label>
        <input
          ref={first}
          id={ids.from}
          value={from}
          spellCheck={false}
          autoComplete="off"
          aria-describedby={ids.problem}
          onChange={(event) => setFrom(event.target.value)}
        />
        <label htmlFor={ids.to}>To</label>
        <input
          id={ids.to}
          value={to}
          spellCheck={false}
          autoComplete="off"
          aria-describedby={ids.problem}
          onChange={(event) => setTo(event.target.value)}
        />
        <p id={ids.problem} className={problem === undefined ? s.preview : s.problem} aria-live="polite">
          {typeof range === "string"
            ? range
            : `${rangeLabel(range.start, range.end, zone, Number.NaN)} (${zoneName(zone, range.start)})`}
        </p>
        <button type="submit" className="primary" disabled={problem !== undefined}>
          Apply
        </button>
        <p className={s.forms}>
          Forms: <code>now-15m</code>, <code>2026-01-31 14:00</code>, RFC 3339, Unix s, ms, µs or ns.
        </p>
      </form>
      <ul className={s.presets}>
        {PRESETS.map((preset) => (
          <li key={preset.from}>
            <button
              type="button"
              className="quiet"
              aria-pressed={value.from === preset.from && value.to === "now"}
              onClick={() => onChoose({ from: preset.from, to: "now" })}
            >
              {preset.name}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Relative times stay as written; others become absolute, their zone settled. */
function settled(text: string, at: number, zone: Zone): string {
  const trimmed = text.trim();
  if (trimmed.startsWith("now")) return trimmed.replace(/\s+/g, "");
  return new Date(parseTime(trimmed, at, zone) ?? Number.NaN).toISOString();
}

function isPreset(value: RangeText): boolean {
  return value.to === "now" && PRESETS.some((preset) => preset.from === value.from);
}

function label(value: RangeText, range: TimeRange | undefined, zone: Zone, at: number): string {
  const preset = PRESETS.find((p) => p.from === value.from && value.to === "now");
  if (preset !== undefined) return preset.name;
  if (range === undefined) return "Not a time range";
  if (isRelative(value)) return `${value.from} – ${value.to}`;
  return rangeLabel(range.start, range.end, zone, at);
}
