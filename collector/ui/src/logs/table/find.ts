// Looks for text among the loaded records, as the table shows them.
import type { LogRecord } from "../../api/types";
import { attributeTexts, messageText } from "../record/fields";
import { fieldText } from "../record/lookup";
import { MESSAGE, type Column } from "./columns";

/** Matches the text literally, in any case; undefined for no text. */
export function findPattern(text: string): RegExp | undefined {
  return text === "" ? undefined : new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "giu");
}

/** What each record shows in some columns, kept because finding asks for it at every key. */
export class ShownTexts {
  private readonly names: readonly string[];
  private readonly texts = new WeakMap<LogRecord, string>();

  constructor(columns: readonly Column[]) {
    this.names = columns.map((column) => column.field);
  }

  of(record: LogRecord): string {
    const known = this.texts.get(record);
    if (known !== undefined) return known;
    const text = this.names.map((name) => this.cell(record, name)).join("\n");
    this.texts.set(record, text);
    return text;
  }

  private cell(record: LogRecord, name: string): string {
    if (name !== MESSAGE) return fieldText(record, name);
    return [messageText(record), ...attributeTexts(record, this.names)].join("\n");
  }
}

/** Indexes of the records that show the text. */
export function findRows(records: readonly LogRecord[], shown: ShownTexts, text: string): number[] {
  const pattern = findPattern(text);
  const found: number[] = [];
  if (pattern === undefined) return found;
  records.forEach((record, at) => {
    // A global pattern goes on where it was; each text is looked at from its beginning.
    pattern.lastIndex = 0;
    if (pattern.test(shown.of(record))) found.push(at);
  });
  return found;
}

/** The next found index after (or before) a row, round the end; undefined when there is none. */
export function nextFound(found: readonly number[], from: number, direction: -1 | 1): number | undefined {
  if (direction === 1) return found.find((at) => at > from) ?? found[0];
  return found.findLast((at) => at < from) ?? found.at(-1);
}
