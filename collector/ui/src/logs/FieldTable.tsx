// The fields of a record, each with buttons to filter for it, filter it out, copy it.
import type { Polarity } from "../query/edit";
import { copy } from "../widgets/copy";
import { Icon } from "../widgets/Icon";
import s from "./FieldTable.module.css";
import type { Field, FieldSection } from "./fields";

interface FieldTableProps {
  sections: FieldSection[];
  /** Only fields whose name or value contains it. */
  wanted: string;
  onFilter: (field: string, value: string, polarity: Polarity) => void;
}

export function FieldTable({ sections, wanted, onFilter }: FieldTableProps) {
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
          <FieldRow key={field.name} field={field} onFilter={onFilter} />
        ))}
      </dl>
    </section>
  ));
}

function FieldRow({ field, onFilter }: { field: Field; onFilter: FieldTableProps["onFilter"] }) {
  const { filter } = field;
  return (
    <div className={s.field}>
      <dt title={field.name}>{field.name}</dt>
      <dd>
        {field.nested ? <pre>{field.text}</pre> : field.text || <i>empty</i>}
        <span className={s.tools}>
          {filter !== undefined && (
            <>
              <button
                type="button"
                className="quiet icon"
                aria-label={`Filter for ${field.name}`}
                title="Filter for this value"
                onClick={() => onFilter(filter.field, filter.value, "for")}
              >
                <Icon name="include" />
              </button>
              <button
                type="button"
                className="quiet icon"
                aria-label={`Filter out ${field.name}`}
                title="Filter out this value"
                onClick={() => onFilter(filter.field, filter.value, "out")}
              >
                <Icon name="exclude" />
              </button>
            </>
          )}
          <button
            type="button"
            className="quiet icon"
            aria-label={`Copy ${field.name}`}
            title="Copy the value"
            onClick={() => void copy(field.text, field.name)}
          >
            <Icon name="copy" />
          </button>
        </span>
      </dd>
    </div>
  );
}
