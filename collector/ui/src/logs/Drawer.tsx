// Everything about one record, beside the rows.
import { useState } from "react";
import type { LogRecord } from "../api/types";
import { Link } from "../app/Link";
import { prefer, usePreferences } from "../app/preferences";
import type { Polarity } from "../query/edit";
import { formatDuration } from "../time/duration";
import { exactTime, zoneName } from "../time/format";
import { absolute, serverTime } from "../time/range";
import { copy } from "../widgets/copy";
import { Icon } from "../widgets/Icon";
import s from "./Drawer.module.css";
import { FieldTable } from "./FieldTable";
import { messageBlock, messageText, sections } from "./fields";
import { ResizeHandle } from "./ResizeHandle";
import { levelOf } from "./severity";
import { DEFAULT_STATE, logsUrl } from "./state";

interface DrawerProps {
  record: LogRecord;
  /** For the record's age. */
  at: number;
  /** A link that shows this record among the ones before it. */
  permalink: string;
  onFilter: (field: string, value: string, polarity: Polarity) => void;
  onMove: (by: -1 | 1) => void;
  onClose: () => void;
}

const AROUND_TRACE = 3_600_000;
const MANY_FIELDS = 10;

export function Drawer({ record, at, permalink, onFilter, onMove, onClose }: DrawerProps) {
  const { zone, drawerWidth } = usePreferences();
  const [wanted, setWanted] = useState("");
  const time = serverTime(record.timestamp);
  const level = levelOf(record.severity_number);
  const all = sections(record);
  const count = all.reduce((sum, section) => sum + section.fields.length, 0);
  const age = at - time;
  return (
    <aside className={s.drawer} style={{ width: drawerWidth }} aria-label="Record">
      <ResizeHandle width={drawerWidth} onResize={(width) => prefer({ drawerWidth: width })} />
      <header className={s.header}>
        <span className={s.level} data-level={level}>
          {level}
        </span>
        <h2 title={`${record.timestamp} (as received)`}>
          {exactTime(record.timestamp, time, zone)} <span>{zoneName(zone, time)}</span>
        </h2>
        <button type="button" className="quiet icon" aria-label="Previous record" title="Previous (k)" onClick={() => onMove(-1)}>
          <Icon name="up" />
        </button>
        <button type="button" className="quiet icon" aria-label="Next record" title="Next (j)" onClick={() => onMove(1)}>
          <Icon name="down" />
        </button>
        <button type="button" className="quiet icon" aria-label="Close" title="Close (Esc)" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div className={s.body}>
        <p className={s.sub}>
          {record.service}
          {age >= 0 && ` · ${formatDuration(age)} ago`}
        </p>
        <pre className={s.message} tabIndex={0} aria-label="Message">
          {messageBlock(record) || <span className={s.none}>no message</span>}
        </pre>
        <div className={s.actions}>
          <button type="button" onClick={() => void copy(messageText(record), "Message")}>
            Copy message
          </button>
          <button type="button" onClick={() => void copy(JSON.stringify(record, null, 2), "JSON")}>
            Copy JSON
          </button>
          <button type="button" onClick={() => void copy(permalink, "Link")}>
            Copy link
          </button>
          {record.trace_id && (
            <Link className={s.trace} href={traceUrl(record.trace_id, time)}>
              Logs of this trace
            </Link>
          )}
        </div>
        {count > MANY_FIELDS && (
          <input
            className={s.find}
            type="search"
            placeholder={`Find among ${count} fields`}
            aria-label="Find fields"
            value={wanted}
            onChange={(event) => setWanted(event.target.value)}
          />
        )}
        <FieldTable sections={all} wanted={wanted} onFilter={onFilter} />
      </div>
    </aside>
  );
}

function traceUrl(traceId: string, time: number): string {
  return logsUrl({
    ...DEFAULT_STATE,
    query: `trace_id:${traceId}`,
    range: absolute({ start: Math.max(0, time - AROUND_TRACE), end: time + AROUND_TRACE }),
    order: "oldest",
  });
}
