// Everything about one record, beside the rows.
import { useState } from "react";
import type { Json, LogRecord } from "../../api/types";
import { Link } from "../../app/Link";
import { prefer, usePreferences } from "../../app/preferences";
import { formatDuration } from "../../time/duration";
import { exactTime, zoneName } from "../../time/format";
import { serverTime } from "../../time/range";
import { logsNear } from "../../traces/logsLink";
import { copy } from "../../widgets/copy";
import { ResizeHandle } from "../../widgets/ResizeHandle";
import { Tabs } from "../../widgets/Tabs";
import { Tool } from "../../widgets/Tool";
import { levelOf } from "../severity";
import type { RecordTab } from "../state";
import type { Column } from "../table/columns";
import { Context } from "./Context";
import s from "./Drawer.module.css";
import { FieldTable, type FieldActions } from "./FieldTable";
import { messageBlock, messageText, recordTrace, sections } from "./fields";
import { JsonTree } from "./JsonTree";

interface DrawerProps {
  record: LogRecord;
  tab: RecordTab;
  columns: readonly Column[];
  /** For the record's age. */
  at: number;
  /** A link that shows this record among the ones before it. */
  permalink: string;
  actions: FieldActions;
  onTab: (tab: RecordTab) => void;
  /** Shows another record. */
  onOpen: (record: LogRecord) => void;
  onMove: (by: -1 | 1) => void;
  onClose: () => void;
}

const MANY_FIELDS = 10;
const OPEN_LEVELS = 2;

const TABS = [
  { id: "fields", label: "Fields" },
  { id: "context", label: "Context", title: "What the same stream logged before and after" },
  { id: "json", label: "JSON" },
] as const;

export function Drawer(props: DrawerProps) {
  const { record, tab, permalink, onMove, onClose } = props;
  const { zone, drawerWidth } = usePreferences();
  const time = serverTime(record.timestamp);
  const level = levelOf(record);
  return (
    <aside className={s.drawer} style={{ width: drawerWidth }} aria-label="Record">
      <ResizeHandle
        name="Width of the record"
        side="left"
        width={drawerWidth}
        onResize={(width) => prefer({ drawerWidth: width })}
      />
      <header className={s.header}>
        <span className={s.level} data-level={level}>
          {level}
        </span>
        <h2 title={`${record.timestamp} (as received)`}>
          {exactTime(record.timestamp, time, zone)} <span>{zoneName(zone, time)}</span>
        </h2>
        <Tool icon="up" name="Previous record" title="Previous (k)" onClick={() => onMove(-1)} />
        <Tool icon="down" name="Next record" title="Next (j)" onClick={() => onMove(1)} />
        <Tool icon="close" name="Close" title="Close (Esc)" onClick={onClose} />
      </header>
      <div className={s.tabs}>
        <Tabs name="Record" tabs={TABS} chosen={tab} onChoose={props.onTab} />
        <Tool icon="link" name="Copy link" title="Copy a link to this record" onClick={() => void copy(permalink, "Link")} />
      </div>
      {tab === "fields" && <Fields {...props} />}
      {tab === "context" && <Context key={record.id} record={record} zone={zone} onOpen={props.onOpen} />}
      {tab === "json" && (
        <div className={s.body} tabIndex={0} role="region" aria-label="Record as JSON">
          <div className={s.actions}>
            <CopyJson record={record} />
          </div>
          <JsonTree value={record as unknown as Json} open={OPEN_LEVELS} />
        </div>
      )}
    </aside>
  );
}

function Fields({ record, columns, at, actions }: DrawerProps) {
  const [wanted, setWanted] = useState("");
  const time = serverTime(record.timestamp);
  const all = sections(record);
  const count = all.reduce((sum, section) => sum + section.fields.length, 0);
  const age = at - time;
  return (
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
        <CopyJson record={record} />
        {record.trace_id && (
          <span className={s.trace}>
            <Link href={recordTrace(record, record.trace_id)}>Open trace</Link>
            <Link href={logsNear(record.trace_id, time)}>Logs of this trace</Link>
          </span>
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
      <FieldTable sections={all} columns={columns} wanted={wanted} actions={actions} />
    </div>
  );
}

function CopyJson({ record }: { record: LogRecord }) {
  return (
    <button type="button" onClick={() => void copy(JSON.stringify(record, null, 2), "JSON")}>
      Copy JSON
    </button>
  );
}
