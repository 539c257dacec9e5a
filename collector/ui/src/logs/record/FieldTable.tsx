// The fields of a record, each with buttons to filter by it, to make it a column,
// to see its other values, to copy it.
import { Link } from "../../app/Link";
import type { Polarity } from "../../query/edit";
import { Breakable } from "../../widgets/Breakable";
import { copy } from "../../widgets/copy";
import { Tool } from "../../widgets/Tool";
import { hasColumn, type Column } from "../table/columns";
import s from "./FieldTable.module.css";
import type { Field, FieldSection } from "./fields";

/** What can be done with a field, wherever it is shown. */
export interface FieldActions {
  filter: (field: string, value: string, polarity: Polarity) => void;
  exists: (field: string, polarity: Polarity) => void;
  toggleColumn: (field: string) => void;
  /** Opens the field's top values in the sidebar. */
  showValues: (field: string) => void;
  groupBy: (field: string) => void;
}

interface FieldTableProps {
  sections: FieldSection[];
  columns: readonly Column[];
  /** Only fields whose name or value contains it. */
  wanted: string;
  actions: FieldActions;
}

export function FieldTable({ sections, columns, wanted, actions }: FieldTableProps) {
  const words = wanted.toLowerCase();
  const shown = sections
    .map((section) => ({
      ...section,
      fields: section.fields.filter((f) => `${f.name}\n${f.text}`.toLowerCase().includes(words)),
    }))
    .filter((section) => section.fields.length > 0);
  if (shown.length === 0) return <p className={s.none}>No field contains “{wanted}”.</p>;
  return shown.map((section) => (
    <section key={section.title} className={s.section}>
      <h3>{section.title}</h3>
      <dl>
        {section.fields.map((field) => (
          <FieldRow key={field.name} field={field} columns={columns} actions={actions} />
        ))}
      </dl>
    </section>
  ));
}

interface FieldRowProps {
  field: Field;
  columns: readonly Column[];
  actions: FieldActions;
}

function FieldRow({ field, columns, actions }: FieldRowProps) {
  const { name, text, searched, value } = field;
  return (
    <div className={s.field}>
      <dt title={name}>
        <Breakable name={name} />
      </dt>
      <dd>
        {field.nested ? <pre>{text}</pre> : field.href !== undefined ? <Link href={field.href}>{text}</Link> : text || <i>empty</i>}
        <span className={s.tools}>
          {searched !== undefined && value !== undefined && (
            <>
              <Tool icon="include" name={`Filter for ${name}`} title="Filter for this value" onClick={() => actions.filter(searched, value, "for")} />
              <Tool icon="exclude" name={`Filter out ${name}`} title="Filter out this value" onClick={() => actions.filter(searched, value, "out")} />
            </>
          )}
          {searched !== undefined && (
            <>
              <Tool
                icon="column"
                name={`Column ${name}`}
                title={hasColumn(columns, searched) ? "Remove the column" : "Show as a column"}
                pressed={hasColumn(columns, searched)}
                onClick={() => actions.toggleColumn(searched)}
              />
              <Tool icon="values" name={`Top values of ${name}`} title="Top values" onClick={() => actions.showValues(searched)} />
            </>
          )}
          <Tool icon="copy" name={`Copy ${name}`} title="Copy the value" onClick={() => void copy(text, name)} />
        </span>
      </dd>
    </div>
  );
}
