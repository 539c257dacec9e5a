// The fields there are, each opening to its top values.
import { memo, useDeferredValue, useState } from "react";
import { prefer, usePreferences } from "../../app/preferences";
import { ResizeHandle } from "../../widgets/ResizeHandle";
import { Tool } from "../../widgets/Tool";
import type { FieldActions } from "../record/FieldTable";
import type { Column } from "../table/columns";
import type { Run } from "../useLogs";
import { FieldItem } from "./FieldItem";
import { fieldGroups } from "./fieldList";
import s from "./Sidebar.module.css";
import { useFacets } from "./useFacets";
import { useFields } from "./useFields";

interface SidebarProps {
  run: Run | undefined;
  columns: readonly Column[];
  by: string;
  actions: FieldActions;
}

const NARROWEST = 180;
const FEW_VALUES = 10;
const MANY_VALUES = 100;

export const Sidebar = memo(function Sidebar({ run, columns, by, actions }: SidebarProps) {
  const { sidebarWidth, facets: open } = usePreferences();
  const [wanted, setWanted] = useState("");
  const [limit, setLimit] = useState(FEW_VALUES);
  const typed = useDeferredValue(wanted.trim());
  const all = useFields(run, "");
  const narrowed = useFields(all.more && typed !== "" ? run : undefined, typed);
  const fields = all.more && typed !== "" && narrowed.fields.length > 0 ? narrowed.fields : all.fields;
  const facets = useFacets(run, open, limit);
  const groups = fieldGroups(fields, open, typed);
  const [opened, setOpened] = useState<string>();
  const toggle = (field: string) => {
    const close = open.includes(field);
    setOpened(close ? undefined : field);
    prefer({ facets: close ? open.filter((name) => name !== field) : [...open, field] });
  };
  return (
    <aside className={s.sidebar} style={{ width: sidebarWidth }} aria-label="Fields">
      <ResizeHandle
        name="Width of the fields"
        side="right"
        width={sidebarWidth}
        narrowest={NARROWEST}
        onResize={(width) => prefer({ sidebarWidth: width })}
      />
      <header className={s.header}>
        <input
          type="search"
          placeholder={all.fields.length > 0 ? `Find among ${all.fields.length}${all.more ? "+" : ""} fields` : "Find a field"}
          aria-label="Find a field"
          value={wanted}
          onChange={(event) => setWanted(event.target.value)}
        />
        <Tool icon="close" name="Hide the fields" title="Hide the fields (f)" onClick={() => prefer({ sidebar: false })} />
      </header>
      <div className={s.body} data-stale={facets.stale}>
        {all.error !== undefined && <p className={s.problem}>The fields could not be read: {all.error.message}.</p>}
        {facets.error !== undefined && facets.error.position === undefined && (
          <p className={s.problem}>
            The values could not be counted: {facets.error.message}.{" "}
            <button type="button" onClick={facets.retry}>
              Try again
            </button>
          </p>
        )}
        {facets.partial && <p className={s.partial}>Counts are partial: {facets.warnings.join(" ")}</p>}
        {groups.map((group) => (
          <section key={group.title} aria-label={group.title || "Open fields"}>
            {group.title !== "" && <h3>{group.title}</h3>}
            <ul className={s.fields}>
              {group.fields.map((field) => (
                <FieldItem
                  key={field.name}
                  field={field}
                  open={open.includes(field.name)}
                  follow={opened === field.name}
                  onFollowed={() => setOpened(undefined)}
                  facet={facets.facet(field.name)}
                  failed={facets.error !== undefined}
                  columns={columns}
                  grouped={by === field.name}
                  actions={actions}
                  onToggle={() => toggle(field.name)}
                  {...(limit === FEW_VALUES ? { onMore: () => setLimit(MANY_VALUES) } : {})}
                />
              ))}
            </ul>
            {group.hidden > 0 && <p className={s.hint}>and {group.hidden.toLocaleString("en")} more: type to find them</p>}
          </section>
        ))}
        {groups.length === 0 && !all.loading && (
          <p className={s.hint}>{typed === "" ? "No fields in this time range." : `No field is called like “${typed}”.`}</p>
        )}
      </div>
    </aside>
  );
});
