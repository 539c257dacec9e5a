// Attributes by name, each to be copied or to highlight the spans that share it.
import type { Json } from "../../api/types";
import { jsonText } from "../../logs/record/fields";
import { Breakable } from "../../widgets/Breakable";
import { copy } from "../../widgets/copy";
import { Tool } from "../../widgets/Tool";
import type { TraceView } from "../useTraceView";
import s from "./SpanDetails.module.css";

interface AttributesProps {
  title: string;
  attributes: Record<string, Json>;
  view: TraceView;
}

export function Attributes({ title, attributes, view }: AttributesProps) {
  if (Object.keys(attributes).length === 0) return null;
  return (
    <section className={s.section} aria-label={title}>
      <h3>{title}</h3>
      <AttributeList attributes={attributes} view={view} />
    </section>
  );
}

export function AttributeList({ attributes, view }: Omit<AttributesProps, "title">) {
  const entries = Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return (
    <dl>
      {entries.map(([name, value]) => (
        <Attribute key={name} name={name} value={value} view={view} />
      ))}
    </dl>
  );
}

function Attribute({ name, value, view }: { name: string; value: Json; view: TraceView }) {
  const nested = typeof value === "object" && value !== null;
  const text = nested ? jsonText(value) : String(value);
  const plain = nested ? JSON.stringify(value) : text;
  return (
    <div className={s.attribute}>
      <dt title={name}>
        <Breakable name={name} />
      </dt>
      <dd>
        {nested ? <pre>{text}</pre> : text || <i>empty</i>}
        <span className={s.tools}>
          <Tool icon="find" name={`Highlight spans with this ${name}`} title="Highlight spans with this value" onClick={() => view.show({ text: `${name}=${plain}` })} />
          <Tool icon="copy" name={`Copy ${name}`} title="Copy the value" onClick={() => void copy(text, name)} />
        </span>
      </dd>
    </div>
  );
}
