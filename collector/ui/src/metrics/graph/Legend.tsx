// The series of a graph with their least, highest, mean and last value. A click shows
// one alone, with Ctrl or Shift it adds or takes away.
import { useState } from "react";
import { Icon } from "../../widgets/Icon";
import { isShown, nextSorting, sorted, type Selection, type SortKey, type Sorting } from "./legend";
import s from "./Legend.module.css";
import type { Series } from "./series";
import { formatValue } from "./units";

interface LegendProps {
  series: readonly Series[];
  selection: Selection;
  /** The letters of queries, shown when there are several. */
  letters: boolean;
  onIsolate: (series: Series) => void;
  onToggle: (series: Series) => void;
  onPoint: (key: string | undefined) => void;
  queryName: (query: number) => string;
}

const NUMBERS = ["min", "max", "mean", "last"] as const;

export function Legend({ series, selection, letters, onIsolate, onToggle, onPoint, queryName }: LegendProps) {
  const [sorting, setSorting] = useState<Sorting>();
  return (
    <div className={s.scroll} tabIndex={0} role="region" aria-label="Legend" onPointerLeave={() => onPoint(undefined)}>
      <table className={s.legend}>
        <thead>
          <tr>
            <Head by="name" sorting={sorting} onSort={setSorting} />
            {NUMBERS.map((by) => (
              <Head key={by} by={by} sorting={sorting} onSort={setSorting} />
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted(series, sorting).map((one) => (
            <tr key={one.key} data-shown={isShown(selection, one.key)} onPointerEnter={() => onPoint(one.key)}>
              <td>
                <button
                  type="button"
                  className="quiet"
                  aria-pressed={selection !== undefined && isShown(selection, one.key)}
                  title={`${one.name}\nClick: only this one. Ctrl+click: with or without it`}
                  onFocus={() => onPoint(one.key)}
                  onBlur={() => onPoint(undefined)}
                  onClick={(event) => (event.ctrlKey || event.metaKey || event.shiftKey ? onToggle(one) : onIsolate(one))}
                >
                  <i style={{ background: one.colour }} />
                  {letters && <b>{queryName(one.query)}</b>}
                  <span>{one.name}</span>
                </button>
              </td>
              {NUMBERS.map((by) => (
                <td key={by} title={String(one.summary[by] ?? "")}>
                  {formatValue(one.summary[by], one.unit)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface HeadProps {
  by: SortKey;
  sorting: Sorting | undefined;
  onSort: (sorting: Sorting | undefined) => void;
}

function Head({ by, sorting, onSort }: HeadProps) {
  const active = sorting?.by === by;
  const direction = active ? (sorting.descending ? "descending" : "ascending") : "none";
  return (
    <th scope="col" aria-sort={direction}>
      <button type="button" className="quiet" onClick={() => onSort(nextSorting(sorting, by))}>
        {by === "name" ? "Series" : by}
        {active && <Icon name={sorting.descending ? "down" : "up"} />}
      </button>
    </th>
  );
}
