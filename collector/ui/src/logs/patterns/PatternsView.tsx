// Like messages together: how often each kind came, and against another time
// which are new, gone, more or less frequent.
import { useState } from "react";
import type { LogRecord, PatternChange, PatternsResponse } from "../../api/types";
import { rangeLabel, type Zone } from "../../time/format";
import type { TimeRange } from "../../time/range";
import { Message } from "../../widgets/Message";
import type { Run } from "../useLogs";
import { ComparePicker } from "./ComparePicker";
import { PatternItem, type PatternActions } from "./PatternItem";
import { baseline, byChange, CHANGES } from "./patterns";
import s from "./Patterns.module.css";
import { usePatterns } from "./usePatterns";

interface PatternsViewProps {
  run: Run;
  compare: string;
  at: number;
  zone: Zone;
  onCompare: (compare: string) => void;
  onSearch: PatternActions["search"];
  onOpen: (record: LogRecord) => void;
}

export function PatternsView(props: PatternsViewProps) {
  const { run, compare, at, zone } = props;
  const other = baseline(compare, run.range, at);
  const range = typeof other === "string" ? undefined : other;
  const patterns = usePatterns(run, range);
  const [change, setChange] = useState<PatternChange>();
  const [wanted, setWanted] = useState("");
  const { found, error } = patterns;
  const all = found?.patterns ?? [];
  const compared = all.some((pattern) => pattern.change !== null);
  const words = wanted.toLowerCase();
  const shown = all
    .filter((pattern) => (!compared || change === undefined || pattern.change === change) && pattern.pattern.toLowerCase().includes(words))
    .sort(compared ? byChange : () => 0);
  const most = all.reduce((highest, { count, baseline }) => Math.max(highest, Number(count), Number(baseline ?? 0)), 1);

  return (
    <div className={s.patterns}>
      <div className={s.bar}>
        <p className={s.summary} data-testid="patterns-summary" role="status">
          {patterns.running && found === undefined ? "Looking for patterns…" : found && summary(all.length, found)}
        </p>
        {patterns.running && (
          <button type="button" onClick={patterns.cancel}>
            Stop
          </button>
        )}
        <input type="search" placeholder="Find a pattern" aria-label="Find a pattern" value={wanted} onChange={(event) => setWanted(event.target.value)} />
        <ComparePicker compare={compare} range={run.range} at={at} zone={zone} onCompare={props.onCompare} />
      </div>
      {typeof other === "string" && (
        <p className={s.problem} role="alert">
          {other}
        </p>
      )}
      {compared && range !== undefined && (
        <Changes patterns={all} chosen={change} range={range} zone={zone} onChoose={setChange} />
      )}
      {found?.partial === true && (
        <p className={s.partial} role="status">
          <b>Partial result:</b> {found.warnings?.join(" ") ?? "some of the data could not be read."}
        </p>
      )}
      {patterns.cancelled && (
        <p className={s.partial} role="status">
          <b>Cancelled.</b> {found === undefined ? "Nothing was found yet." : "Shown are the patterns of the search before."}{" "}
          <button type="button" onClick={patterns.retry}>
            Run again
          </button>
        </p>
      )}
      <div className={s.list} data-stale={patterns.stale && patterns.running} tabIndex={0} role="region" aria-label="Patterns">
        {error !== undefined && (
          <Message title="The patterns could not be found" kind="error">
            <p>{error.message}</p>
            {error.hint !== undefined && <p>{error.hint}</p>}
            <button type="button" onClick={patterns.retry}>
              Try again
            </button>
          </Message>
        )}
        {found !== undefined && error === undefined && shown.length === 0 && (
          <Message title={all.length === 0 ? "No records, so no patterns" : "No pattern fits"}>
            <p>{all.length === 0 ? "Nothing matches the search in this time range." : "Change what is asked of patterns above."}</p>
          </Message>
        )}
        <ul>
          {shown.map((pattern) => (
            <PatternItem
              key={pattern.pattern}
              pattern={pattern}
              most={most}
              total={Number(found?.records ?? 0)}
              compared={compared}
              zone={zone}
              actions={{ search: props.onSearch, open: props.onOpen }}
            />
          ))}
        </ul>
      </div>
    </div>
  );
}

function summary(listed: number, { distinct, records, sampled }: PatternsResponse): string {
  const n = (text: string) => Number(text).toLocaleString("en");
  const count = Number(distinct) > listed ? `${listed} of ${n(distinct)}` : String(listed);
  const of = `${count} ${count === "1" ? "pattern" : "patterns"} in ${n(records)} records`;
  return sampled ? `${of}; counts are estimates from a part of them` : of;
}

interface ChangesProps {
  patterns: { change: PatternChange | null }[];
  chosen: PatternChange | undefined;
  range: TimeRange;
  zone: Zone;
  onChoose: (change: PatternChange | undefined) => void;
}

function Changes({ patterns, chosen, range, zone, onChoose }: ChangesProps) {
  return (
    <div className={s.changes} role="group" aria-label="Changes">
      {CHANGES.map((change) => {
        const count = patterns.filter((pattern) => pattern.change === change).length;
        return (
          <button
            key={change}
            type="button"
            className="quiet"
            aria-pressed={chosen === change}
            disabled={count === 0}
            onClick={() => onChoose(chosen === change ? undefined : change)}
          >
            <span className={s.badge} data-change={change}>
              {change}
            </span>
            {count}
          </button>
        );
      })}
      <span className={s.against}>against {rangeLabel(range.start, range.end, zone, Number.NaN)}</span>
    </div>
  );
}
