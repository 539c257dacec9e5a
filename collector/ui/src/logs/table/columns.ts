// The columns behind the time: which fields, how wide, in which order. In the
// URL they are `severity,service~180,body`: a name, and its pixels when set.
export interface Column {
  /** As a search names it; `body` is the message. */
  field: string;
  /** Pixels; undefined is the field's usual width. */
  width: number | undefined;
}

export const MESSAGE = "body";

export const DEFAULT_COLUMNS: readonly Column[] = [
  { field: "severity", width: undefined },
  { field: "service", width: undefined },
  { field: MESSAGE, width: undefined },
];

export const NARROWEST = 40;
const WIDEST = 2000;
const USUAL_WIDTHS: Record<string, number> = { severity: 52, service: 130, trace_id: 250, span_id: 130, [MESSAGE]: 320 };
const USUAL_WIDTH = 160;
const TITLES: Record<string, string> = { severity: "Level", service: "Service", [MESSAGE]: "Message" };

export function columnTitle(field: string): string {
  return TITLES[field] ?? field;
}

export function columnWidth(column: Column): number {
  return column.width ?? USUAL_WIDTHS[column.field] ?? USUAL_WIDTH;
}

/** An empty or unreadable text means the usual columns. */
export function readColumns(text: string): readonly Column[] {
  const columns: Column[] = [];
  for (const part of text.split(",")) {
    const [name = "", width = ""] = part.split("~");
    const field = unescape(name);
    if (field === "" || columns.some((column) => column.field === field)) continue;
    columns.push({ field, width: /^\d+$/.test(width) ? clamp(Number(width)) : undefined });
  }
  return columns.length === 0 ? DEFAULT_COLUMNS : columns;
}

export function columnsText(columns: readonly Column[]): string {
  return columns
    .map(({ field, width }) => escape(field) + (width === undefined ? "" : `~${width}`))
    .join(",");
}

const ESCAPES: Record<string, string> = { "%": "%25", ",": "%2C", "~": "%7E" };

function escape(name: string): string {
  return name.replace(/[%,~]/g, (character) => ESCAPES[character] ?? character);
}

function unescape(name: string): string {
  return name.replace(/%(25|2C|7E)/g, (code) => decodeURIComponent(code));
}

export function hasColumn(columns: readonly Column[], field: string): boolean {
  return columns.some((column) => column.field === field);
}

/** Adds a column before the message, or takes it away; the last one stays. */
export function toggleColumn(columns: readonly Column[], field: string): readonly Column[] {
  if (hasColumn(columns, field)) {
    return columns.length === 1 ? columns : columns.filter((column) => column.field !== field);
  }
  const added = { field, width: undefined };
  const at = columns.at(-1)?.field === MESSAGE ? columns.length - 1 : columns.length;
  return columns.toSpliced(at, 0, added);
}

/** The column at `from` comes to stand at `to`. */
export function moveColumn(columns: readonly Column[], from: number, to: number): readonly Column[] {
  const moved = columns[from];
  if (moved === undefined) return columns;
  const target = Math.max(0, Math.min(columns.length - 1, to));
  return columns.toSpliced(from, 1).toSpliced(target, 0, moved);
}

export function resizeColumn(columns: readonly Column[], field: string, width: number | undefined): readonly Column[] {
  const size = width === undefined ? undefined : clamp(width);
  return columns.map((column) => (column.field === field ? { field, width: size } : column));
}

function clamp(width: number): number {
  return Math.round(Math.min(WIDEST, Math.max(NARROWEST, width)));
}

/** Tracks of a CSS grid: the message, or else the last column, takes what is left. */
export function tracks(columns: readonly Column[]): string {
  const flexible = columns.findIndex((column) => column.field === MESSAGE && column.width === undefined);
  const grows = flexible < 0 ? columns.length - 1 : flexible;
  return columns
    .map((column, at) => (at === grows ? `minmax(${columnWidth(column)}px, 1fr)` : `${columnWidth(column)}px`))
    .join(" ");
}
