// A value as JSON whose maps and lists fold.
import type { Json } from "../../api/types";
import s from "./JsonTree.module.css";

interface JsonTreeProps {
  value: Json;
  name?: string;
  /** Levels that are open at first. */
  open: number;
}

export function JsonTree({ value, name, open }: JsonTreeProps) {
  const label = name !== undefined && <span className={s.key}>{JSON.stringify(name)}: </span>;
  if (typeof value !== "object" || value === null) {
    return (
      <div className={s.leaf}>
        {label}
        <span data-type={value === null ? "null" : typeof value} className={s.value}>
          {JSON.stringify(value)}
        </span>
      </div>
    );
  }
  const entries = Object.entries(value);
  const [begin, end] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0) {
    return (
      <div className={s.leaf}>
        {label}
        {begin}
        {end}
      </div>
    );
  }
  return (
    <details className={s.branch} open={open > 0}>
      <summary>
        {label}
        {begin} <span className={s.size}>{entries.length}</span>
      </summary>
      <div className={s.inner}>
        {entries.map(([key, inner]) => (
          <JsonTree key={key} value={inner} {...(Array.isArray(value) ? {} : { name: key })} open={open - 1} />
        ))}
      </div>
      {end}
    </details>
  );
}
