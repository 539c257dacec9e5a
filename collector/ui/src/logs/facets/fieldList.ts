// The order of the sidebar's fields: those that are open, the columns of every
// record, then attributes and resource attributes by name.
import type { FieldInfo, FieldKind, FieldType } from "../../api/types";
import { searchedName } from "../../query/fieldNames";

export interface ListedField {
  /** As a search names it. */
  name: string;
  /** As it is shown: under "Resource", `host.name` needs no `resource.`. */
  label: string;
  types: FieldType[];
}

export interface FieldGroup {
  title: string;
  fields: ListedField[];
  /** How many more there are that are not listed. */
  hidden: number;
}

const TITLES: [FieldKind, string][] = [
  ["column", "Record"],
  ["attribute", "Attributes"],
  ["resource", "Resource"],
];
const MOST = 150;
/** Values that are nearly all different, or those of another field in other words. */
const NOT_LISTED = new Set(["body", "timestamp", "observed_timestamp", "severity_number", "severity_text"]);

export function fieldGroups(fields: readonly FieldInfo[], open: readonly string[], wanted: string): FieldGroup[] {
  const words = wanted.toLowerCase().split(/\s+/);
  const matches = ({ name }: ListedField) => words.every((word) => name.toLowerCase().includes(word));
  const types = new Map(fields.map((field) => [searchedName(field), field.types]));
  const opened = open.map((name) => ({ name, label: name, types: types.get(name) ?? [] })).filter(matches);
  const groups = TITLES.map(([kind, title]) => {
    const all = fields
      .filter((field) => field.kind === kind)
      .map((field) => ({ name: searchedName(field), label: field.name, types: field.types }))
      // A resource's service.name is the column `service`.
      .filter(({ name }) => kind !== "resource" || name !== "service")
      .filter((field) => !NOT_LISTED.has(field.name) && !open.includes(field.name) && matches(field))
      .sort(byLabel);
    return { title, fields: all.slice(0, MOST), hidden: Math.max(0, all.length - MOST) };
  });
  return [{ title: "", fields: opened, hidden: 0 }, ...groups].filter((group) => group.fields.length > 0);
}

const order = new Intl.Collator("en", { numeric: true });

function byLabel(a: ListedField, b: ListedField): number {
  return order.compare(a.label, b.label);
}

/** What kind of values a field has, in a character. */
export function typeMark({ types }: ListedField): string {
  const [only] = types;
  if (types.length !== 1 || only === undefined) return types.length === 0 ? "" : "…";
  return { text: "t", integer: "#", double: "#", boolean: "?", mixed: "…" }[only];
}
