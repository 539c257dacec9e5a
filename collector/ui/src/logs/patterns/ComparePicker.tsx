// Chooses the time range that patterns are compared with.
import { useState, type SubmitEvent } from "react";
import { rangeLabel, type Zone } from "../../time/format";
import { absolute, resolveRange, type TimeRange } from "../../time/range";
import { Popover } from "../../widgets/Popover";
import { baseline, COMPARE_CHOICES, compareName } from "./patterns";
import s from "./Patterns.module.css";

interface ComparePickerProps {
  compare: string;
  /** The range whose patterns are shown. */
  range: TimeRange;
  at: number;
  zone: Zone;
  onCompare: (compare: string) => void;
}

export function ComparePicker(props: ComparePickerProps) {
  const { compare } = props;
  return (
    <Popover label={<>Compare with: {compareName(compare)}</>} name={`Compare with ${compareName(compare)}`} className="">
      {(close) => <Choices {...props} close={close} />}
    </Popover>
  );
}

function Choices({ compare, range, at, zone, onCompare, close }: ComparePickerProps & { close: () => void }) {
  const current = baseline(compare, range, at);
  const shown = typeof current === "object" ? current : { start: 2 * range.start - range.end, end: range.start };
  const [from, setFrom] = useState(absolute(shown).from);
  const [to, setTo] = useState(absolute(shown).to);
  const custom = resolveRange({ from, to }, at, zone);
  const choose = (value: string) => {
    close();
    onCompare(value);
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (typeof custom === "string") return;
    const { from, to } = absolute(custom);
    choose(`${from}/${to}`);
  };
  return (
    <div className={s.choices}>
      {COMPARE_CHOICES.map(({ value, name }, at) => (
        <button
          key={value}
          type="button"
          className="quiet"
          aria-pressed={compare === value}
          {...(at === 0 ? { "data-first": true } : {})}
          onClick={() => choose(value)}
        >
          {name}
        </button>
      ))}
      <form onSubmit={submit}>
        <label>
          from <input value={from} spellCheck={false} autoComplete="off" onChange={(event) => setFrom(event.target.value)} />
        </label>
        <label>
          to <input value={to} spellCheck={false} autoComplete="off" onChange={(event) => setTo(event.target.value)} />
        </label>
        <p className={typeof custom === "string" ? s.problem : undefined} aria-live="polite">
          {typeof custom === "string" ? custom : rangeLabel(custom.start, custom.end, zone, Number.NaN)}
        </p>
        <button type="submit" className="primary" disabled={typeof custom === "string"}>
          Compare with these times
        </button>
      </form>
    </div>
  );
}
