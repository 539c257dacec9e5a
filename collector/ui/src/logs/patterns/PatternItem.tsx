// One pattern: its counts, its text, and opened its samples.
import { useId, useState } from "react";
import type { LogRecord, Pattern } from "../../api/types";
import type { Polarity } from "../../query/edit";
import { dayTime, rowTime, type Zone } from "../../time/format";
import { serverTime } from "../../time/range";
import { copy } from "../../widgets/copy";
import { Icon } from "../../widgets/Icon";
import { messageText } from "../record/fields";
import { levelNamed, LEVELS, levelOf, type Level } from "../severity";
import { patternParts, patternSearch, ratio } from "./patterns";
import s from "./Patterns.module.css";

export interface PatternActions {
  /** Only the records that a search finds, or all others. */
  search: (text: string, polarity: Polarity) => void;
  open: (record: LogRecord) => void;
}

interface PatternItemProps {
  pattern: Pattern;
  /** The highest count of any pattern. */
  most: number;
  /** Records in all. */
  total: number;
  compared: boolean;
  zone: Zone;
  actions: PatternActions;
}

export function PatternItem({ pattern, most, total, compared, zone, actions }: PatternItemProps) {
  const [open, setOpen] = useState(false);
  const details = useId();
  const count = Number(pattern.count);
  return (
    <li className={s.item} data-compared={compared}>
      <button type="button" className={s.row} aria-expanded={open} aria-controls={details} onClick={() => setOpen(!open)}>
        <Icon name="caret" />
        {compared && (
          <span className={s.change}>
            {pattern.change !== null && (
              <span className={s.badge} data-change={pattern.change}>
                {pattern.change}
              </span>
            )}
          </span>
        )}
        <span className={s.count} title={total > 0 ? `${((100 * count) / total).toFixed(1)} % of the records` : undefined}>
          {count.toLocaleString("en")}
          <Levels pattern={pattern} share={count / most} />
        </span>
        {compared && (
          <span className={s.baseline} title="Records in the range compared with">
            {Number(pattern.baseline ?? 0).toLocaleString("en")} <i>{ratio(pattern)}</i>
          </span>
        )}
        <span className={s.text}>
          {patternParts(pattern.pattern).map(({ text, variable }, at) =>
            variable ? (
              <span key={at} className={s.variable} title="varies">
                {text}
              </span>
            ) : (
              text
            ),
          )}
        </span>
      </button>
      {open && (
        <div id={details} className={s.details}>
          <p>
            <button type="button" onClick={() => actions.search(patternSearch(pattern.pattern), "for")}>
              <Icon name="include" /> Show its records
            </button>
            <button type="button" onClick={() => actions.search(patternSearch(pattern.pattern), "out")}>
              <Icon name="exclude" /> Filter it out
            </button>
            <button type="button" onClick={() => void copy(pattern.pattern, "Pattern")}>
              <Icon name="copy" /> Copy
            </button>
            {pattern.first !== null && pattern.last !== null && (
              <span className={s.seen}>
                from {dayTime(serverTime(pattern.first), zone)} to {dayTime(serverTime(pattern.last), zone)}
              </span>
            )}
          </p>
          <ul aria-label="Samples">
            {pattern.samples.map((record) => (
              <li key={record.id}>
                <button type="button" className={s.sample} data-level={levelOf(record)} onClick={() => actions.open(record)}>
                  <time dateTime={record.timestamp}>{rowTime(serverTime(record.timestamp), zone, true)}</time>
                  {record.service && <span className={s.service}>{record.service}</span>}
                  <span>{messageText(record)}</span>
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
    </li>
  );
}

/** A bar as long as the count, coloured by level. */
function Levels({ pattern, share }: { pattern: Pattern; share: number }) {
  const counts = new Map<Level, number>();
  for (const [name, count] of Object.entries(pattern.severity)) {
    const level = levelNamed(name);
    counts.set(level, (counts.get(level) ?? 0) + Number(count));
  }
  return (
    <span className={s.levels} style={{ width: `${Math.max(share * 100, share > 0 ? 3 : 0)}%` }}>
      {LEVELS.filter((level) => counts.has(level)).map((level) => (
        <i key={level} style={{ flexGrow: counts.get(level), background: `var(--fill-${level})` }} />
      ))}
    </span>
  );
}
