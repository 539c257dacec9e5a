// What is odd about a span's place in the tree, in words.
import { formatNanos } from "../time/duration";
import type { SpanNode } from "./tree";

export function problemText(node: SpanNode): string {
  const { problem, parent, span, start } = node;
  switch (problem) {
    case "orphan":
      return `its parent ${span.parent_span_id ?? ""} is not stored`;
    case "cycle":
      return "it is an ancestor of itself; the ring is cut here";
    case "early":
      return `it starts ${formatNanos((parent?.start ?? start) - start)} before its parent: their clocks differ`;
    case undefined:
      return "";
  }
}
