// One field of the sidebar and, when it is open, its top values.
import { useEffect, useEffectEvent, useRef } from "react";
import type { Facet } from "../../api/types";
import { Icon } from "../../widgets/Icon";
import { Tool } from "../../widgets/Tool";
import type { FieldActions } from "../record/FieldTable";
import { levelNamed } from "../severity";
import { hasColumn, type Column } from "../table/columns";
import { typeMark, type ListedField } from "./fieldList";
import s from "./Sidebar.module.css";

interface FieldItemProps {
  field: ListedField;
  open: boolean;
  facet: Facet | undefined;
  /** Its values could not be counted. */
  failed: boolean;
  /** It was opened just now and has moved up to the open ones: it is brought into sight, until its values are there. */
  follow: boolean;
  onFollowed: () => void;
  columns: readonly Column[];
  /** The histogram counts by this field. */
  grouped: boolean;
  actions: FieldActions;
  onToggle: () => void;
  /** Lists more values; left out when they are listed. */
  onMore?: () => void;
}

export function FieldItem(props: FieldItemProps) {
  const { field, open, facet, failed, follow, columns, grouped, actions, onToggle } = props;
  const { name } = field;
  const isColumn = hasColumn(columns, name);
  const head = useRef<HTMLButtonElement>(null);
  const settled = facet !== undefined || failed;
  const bringIntoSight = useEffectEvent(() => {
    // Moving, the button that was pressed has lost the focus.
    if (document.activeElement === document.body) head.current?.focus({ preventScroll: true });
    head.current?.closest("li")?.scrollIntoView({ block: "nearest" });
    if (settled) props.onFollowed();
  });
  useEffect(() => {
    if (follow) bringIntoSight();
  }, [follow, settled]);
  return (
    <li className={s.field} data-open={open}>
      <div className={s.line}>
        <button ref={head} type="button" className={s.name} aria-expanded={open} title={title(field)} onClick={onToggle}>
          <Icon name="caret" />
          <span>{field.label}</span>
          <i>{typeMark(field)}</i>
        </button>
        <span className={s.tools}>
          <Tool
            icon="values"
            name={`Count by ${name}`}
            title={grouped ? "The histogram counts by it" : "Count by it in the histogram"}
            pressed={grouped}
            onClick={() => actions.groupBy(grouped ? "severity" : name)}
          />
          <Tool
            icon="column"
            name={`Column ${name}`}
            title={isColumn ? "Remove the column" : "Show as a column"}
            pressed={isColumn}
            onClick={() => actions.toggleColumn(name)}
          />
        </span>
      </div>
      {open && facet !== undefined && <Values {...props} facet={facet} />}
      {open && facet === undefined && <p className={s.hint}>{failed ? "Not counted." : "Counting…"}</p>}
    </li>
  );
}

function title({ name, types }: ListedField): string {
  return types.length === 0 ? name : `${name} (${types.join(", ")})`;
}

function Values({ field: { name }, facet, actions, onMore }: FieldItemProps & { facet: Facet }) {
  const n = (text: string) => Number(text).toLocaleString("en");
  const present = facet.values.reduce((sum, { count }) => sum + Number(count), Number(facet.other));
  const hidden = Number(facet.distinct) - facet.values.length;
  const missing = Number(facet.missing);
  return (
    <div className={s.values}>
      <ul>
        {facet.values.map(({ value, count }) => (
          <li key={value} className={s.value}>
            <button
              type="button"
              className={s.pick}
              aria-label={`${value}, ${n(count)} records`}
              title={`${value}: ${n(count)} records. Click to filter for it`}
              onClick={() => actions.filter(name, value, "for")}
            >
              <span className={s.text} data-level={name === "severity" ? levelNamed(value) : undefined}>
                {value === "" ? <i>empty</i> : value}
              </span>
              <span className={s.count}>{n(count)}</span>
              <span className={s.share} style={{ width: `calc((100% - 36px) * ${Number(count) / Math.max(1, present + missing)})` }} />
            </button>
            <span className={s.tools}>
              <Tool icon="include" name={`Filter for ${value}`} title="Filter for this value" onClick={() => actions.filter(name, value, "for")} />
              <Tool icon="exclude" name={`Filter out ${value}`} title="Filter out this value" onClick={() => actions.filter(name, value, "out")} />
            </span>
          </li>
        ))}
      </ul>
      {hidden > 0 && (
        <p className={s.hint}>
          {facet.truncated && "at least "}
          {hidden.toLocaleString("en")} more {hidden === 1 ? "value" : "values"} in {n(facet.other)} records{" "}
          {onMore !== undefined && (
            <button type="button" className={s.more} onClick={onMore}>
              show more
            </button>
          )}
        </p>
      )}
      {facet.values.length === 0 && <p className={s.hint}>No matching record has it.</p>}
      {missing > 0 && (
        <p className={s.hint}>
          <button type="button" className={s.more} title="Only records with the field" onClick={() => actions.exists(name, "for")}>
            {present.toLocaleString("en")} with it
          </button>
          ,{" "}
          <button type="button" className={s.more} title="Only records without the field" onClick={() => actions.exists(name, "out")}>
            {missing.toLocaleString("en")} without
          </button>
        </p>
      )}
    </div>
  );
}
