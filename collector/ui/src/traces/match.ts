// Which spans a filter highlights: all words must occur in a span's name, service,
// kind, status, attributes or events.
import type { Json } from "../api/types";
import type { Span } from "../api/traces";
import type { SpanNode, TraceTree } from "./tree";

export interface Highlight {
  text: string;
  /** Exactly this service; undefined is any. */
  service: string | undefined;
}

/** Undefined when nothing is highlighted: then no span is less than another. */
export function highlighted(tree: TraceTree, { text, service }: Highlight): ReadonlySet<SpanNode> | undefined {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0 && service === undefined) return undefined;
  return new Set(
    tree.nodes.filter(({ span }) => {
      if (service !== undefined && span.service !== service) return false;
      const content = words.length === 0 ? "" : searchText(span);
      return words.every((word) => content.includes(word));
    }),
  );
}

/** The next of some spans after one in the tree's order, round the end; undefined when there is none. */
export function nextAmong(
  tree: TraceTree,
  wanted: (node: SpanNode) => boolean,
  from: SpanNode | undefined,
  by: 1 | -1,
): SpanNode | undefined {
  const found = tree.nodes.filter(wanted);
  if (by < 0) found.reverse();
  const at = from === undefined ? -1 : tree.nodes.indexOf(from);
  if (at < 0) return found[0];
  const places = new Map(tree.nodes.map((node, place) => [node, place]));
  const place = (node: SpanNode) => places.get(node) ?? -1;
  return found.find((node) => (place(node) - at) * by > 0) ?? found[0];
}

const texts = new WeakMap<Span, string>();

function searchText(span: Span): string {
  const known = texts.get(span);
  if (known !== undefined) return known;
  const lines = [
    span.name,
    span.service,
    span.span_id,
    `kind=${span.kind}`,
    `status=${span.status.code}`,
    span.status.message,
    ...pairs(span.attributes),
    ...pairs(span.resource),
    ...span.events.flatMap(({ name, attributes }) => [name, ...pairs(attributes)]),
  ];
  const text = lines.join("\n").toLowerCase();
  texts.set(span, text);
  return text;
}

function pairs(attributes: Record<string, Json>): string[] {
  return Object.entries(attributes).map(
    ([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`,
  );
}
