// Downloads all records that match, in the form and with the columns chosen; the
// server streams them, however many there are.
import { useId, useState } from "react";
import { exportAddress } from "../../api/logs";
import type { Order } from "../../api/types";
import { iso } from "../../time/range";
import { copy } from "../../widgets/copy";
import type { Column } from "../table/columns";
import type { Run } from "../useLogs";
import s from "./ExportPanel.module.css";

interface ExportPanelProps {
  run: Run;
  columns: readonly Column[];
  /** How many records match, where that is known. */
  total: number | undefined;
  onDone: () => void;
}

export function ExportPanel({ run, columns, total, onDone }: ExportPanelProps) {
  const [format, setFormat] = useState<"ndjson" | "csv">("ndjson");
  const [order, setOrder] = useState<Order>(run.order);
  const [limit, setLimit] = useState("");
  const [fields, setFields] = useState(() => ["timestamp", ...columns.map((column) => column.field)].join(", "));
  const ids = { fields: useId(), limit: useId() };
  const address = exportAddress({
    start: iso(run.range.start),
    end: iso(run.range.end),
    query: run.query,
    format,
    order,
    fields: fields.split(",").map((field) => field.trim()).filter((field) => field !== ""),
    limit: /^[1-9]\d*$/.test(limit) ? Number(limit) : undefined,
  });
  return (
    <div className={s.panel}>
      <p>{total === undefined ? "All records that match" : `${total.toLocaleString("en")} records match`}; they come from the server as they are read.</p>
      <fieldset>
        <legend>Form</legend>
        <label>
          <input type="radio" name="format" data-first checked={format === "ndjson"} onChange={() => setFormat("ndjson")} />
          NDJSON: a record a line, whole
        </label>
        <label>
          <input type="radio" name="format" checked={format === "csv"} onChange={() => setFormat("csv")} />
          CSV: the columns below
        </label>
      </fieldset>
      {format === "csv" && (
        <>
          <label htmlFor={ids.fields}>Columns</label>
          <input id={ids.fields} value={fields} spellCheck={false} onChange={(event) => setFields(event.target.value)} />
        </>
      )}
      <fieldset>
        <legend>Order</legend>
        <label>
          <input type="radio" name="order" checked={order === "newest"} onChange={() => setOrder("newest")} />
          newest first
        </label>
        <label>
          <input type="radio" name="order" checked={order === "oldest"} onChange={() => setOrder("oldest")} />
          oldest first
        </label>
      </fieldset>
      <label htmlFor={ids.limit}>At most</label>
      <input id={ids.limit} inputMode="numeric" placeholder="no limit" value={limit} onChange={(event) => setLimit(event.target.value)} />
      <p className={s.actions}>
        <a className={s.download} href={address} download onClick={onDone}>
          Download
        </a>
        <button type="button" onClick={() => void copy(`curl -OJf '${window.location.origin}${address.replaceAll("'", "%27")}'`, "Command")}>
          Copy as curl
        </button>
      </p>
    </div>
  );
}
