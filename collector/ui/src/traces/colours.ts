// The colour of a service, the same wherever the trace shows it.
import type { TraceTree } from "./tree";

/** As many as `--series-1` and so on; further services begin again with the first. */
const COLOURS = 8;

export function colourOf(tree: TraceTree, service: string): string {
  const at = tree.services.findIndex(({ name }) => name === service);
  return `var(--series-${(Math.max(0, at) % COLOURS) + 1})`;
}
