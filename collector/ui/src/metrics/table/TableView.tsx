// The answers at the range's end, as a table that sorts and copies.
import { useMemo, useState } from "react";
import { usePreferences } from "../../app/preferences";
import { dayTime, type Zone } from "../../time/format";
import { copy } from "../../widgets/copy";
import { Icon } from "../../widgets/Icon";
import { Message } from "../../widgets/Message";
import { formatValue, guessUnit } from "../graph/units";
import { queryName } from "../state";
import type { Runs } from "../useRuns";
import { bucketText, columnsOf, csv, nextTableSorting, rowsOf, sortedRows, VALUE, type Cell, type TableRow, type TableSorting } from "./rows";
import s from "./TableView.module.css";

/** Rows beyond these are counted and copied, not shown. */
const MOST_ROWS = 1000;
/** Longer values take several lines; others make the table scroll when they have no room. */
const LONG = 60;

export function TableView({ runs }: { runs: Runs }) {
  const { zone } = usePreferences();
  const [sorting, setSorting] = useState<TableSorting>();
  const { shown } = runs;
  const rows = useMemo(
    () => shown?.runs.flatMap(({ query, answer }) => (answer === undefined ? [] : rowsOf(query, answer.data))) ?? [],
    [shown],
  );
  const columns = useMemo(() => columnsOf(rows), [rows]);
  const sorted = useMemo(() => sortedRows(rows, sorting), [rows, sorting]);
  if (shown === undefined || !("instant" in shown.moment)) return null;
  if (rows.length === 0) return <Nothing runs={runs} at={dayTime(shown.moment.instant, zone)} />;
  const letters = shown.runs.length > 1;
  const expressionOf = (query: number) => shown.runs.find((run) => run.query === query)?.expression ?? "";
  return (
    <div className={s.view} data-stale={runs.stale}>
      <div className={s.over}>
        <span>
          {rows.length.toLocaleString("en")} {rows.length === 1 ? "row" : "rows"} at {dayTime(shown.moment.instant, zone)}
          {rows.length > MOST_ROWS && `; the first ${MOST_ROWS.toLocaleString("en")} are shown`}
        </span>
        <button type="button" className="quiet" onClick={() => void copy(csv(sorted, columns), "Table")}>
          <Icon name="copy" /> Copy as CSV
        </button>
      </div>
      <div className={s.scroll} tabIndex={0} role="region" aria-label="Values">
        <table>
          <thead>
            <tr>
              {letters && <th scope="col">query</th>}
              {[...columns, VALUE].map((column) => (
                <Head key={column} column={column} sorting={sorting} onSort={setSorting} />
              ))}
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, MOST_ROWS).map((row) => (
              <tr key={row.key}>
                {letters && <td>{queryName(row.query)}</td>}
                {columns.map((column) => (
                  <td key={column} data-long={(row.labels[column]?.length ?? 0) > LONG}>
                    {row.labels[column]}
                  </td>
                ))}
                <td className={s.value}>
                  <Value row={row} expression={expressionOf(row.query)} zone={zone} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function Head({ column, sorting, onSort }: { column: string; sorting: TableSorting | undefined; onSort: (sorting: TableSorting | undefined) => void }) {
  const active = sorting?.by === column;
  const direction = active ? (sorting.descending ? "descending" : "ascending") : "none";
  return (
    <th scope="col" aria-sort={direction} className={column === VALUE ? s.value : undefined}>
      <button type="button" className="quiet" onClick={() => onSort(nextTableSorting(sorting, column))}>
        {column === VALUE ? "value" : column === "__name__" ? "metric" : column}
        {active && <Icon name={sorting.descending ? "down" : "up"} />}
      </button>
    </th>
  );
}

function Value({ row, expression, zone }: { row: TableRow; expression: string; zone: Zone }) {
  const { cell } = row;
  switch (cell.kind) {
    case "number":
      return <NumberText text={cell.text} expression={expression} />;
    case "text":
      return <>{cell.text}</>;
    case "histogram":
      return <Histogram cell={cell} />;
    case "points":
      return <Points cell={cell} zone={zone} />;
  }
}

/** The number as the server wrote it, and for reading where that is shorter. */
function NumberText({ text, expression }: { text: string; expression: string }) {
  const unit = guessUnit(expression);
  const number = Number(text);
  return (
    <>
      {unit !== "none" && Number.isFinite(number) && <small>{formatValue(number, unit)}</small>} {text}
    </>
  );
}

function Histogram({ cell: { histogram } }: { cell: Extract<Cell, { kind: "histogram" }> }) {
  const { count, sum, buckets = [] } = histogram;
  const most = Math.max(...buckets.map((bucket) => Number(bucket[3])), 1e-300);
  return (
    <details className={s.details}>
      <summary>
        {count} values, sum {formatValue(Number(sum), "none")}, {buckets.length} buckets
      </summary>
      <table>
        <tbody>
          {buckets.map((bucket) => (
            <tr key={`${bucket[1]} ${bucket[2]}`}>
              <td>{bucketText(bucket)}</td>
              <td>
                <i style={{ width: `${(Number(bucket[3]) / most) * 100}px` }} />
              </td>
              <td>{bucket[3]}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

const MOST_POINTS = 500;

function Points({ cell: { points, histograms }, zone }: { cell: Extract<Cell, { kind: "points" }>; zone: Zone }) {
  const texts = [
    ...points,
    ...histograms.map(([time, { count, sum }]): [number, string] => [time, `${count} values, sum ${sum}`]),
  ].sort((a, b) => b[0] - a[0]);
  return (
    <details className={s.details}>
      <summary>
        {texts.length} {texts.length === 1 ? "point" : "points"}, the last {texts[0]?.[1]}
      </summary>
      <table>
        <tbody>
          {texts.slice(0, MOST_POINTS).map(([time, text]) => (
            <tr key={time}>
              <td>{dayTime(time * 1000, zone)}</td>
              <td>{text}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

function Nothing({ runs, at }: { runs: Runs; at: string }) {
  if (runs.runs.length === 0 || runs.running || runs.runs.every(({ error }) => error !== undefined)) return null;
  return (
    <Message title="No values found">
      <p>No series has a value at {at}.</p>
    </Message>
  );
}
