// What the waterfall draws: the rows that are not folded away, the time axis, and
// where on it a span lies.
import type { Interval, SpanNode, TraceTree } from "./tree";

/** The spans that are shown, in order, when some hide what is below them. */
export function shownNodes(tree: TraceTree, folded: ReadonlySet<string>): SpanNode[] {
  const shown: SpanNode[] = [];
  for (let at = 0; at < tree.nodes.length; at += 1) {
    const node = tree.nodes[at];
    if (node === undefined) break;
    shown.push(node);
    if (folded.has(node.key)) at += node.below;
  }
  return shown;
}

/** From the parent up to the root. */
export function ancestors(node: SpanNode): SpanNode[] {
  const above: SpanNode[] = [];
  for (let next = node.parent; next !== undefined; next = next.parent) above.push(next);
  return above;
}

/** The nearest span that is shown: itself, or the outermost fold it lies in. */
export function shownInstead(node: SpanNode, folded: ReadonlySet<string>): SpanNode {
  return ancestors(node).findLast(({ key }) => folded.has(key)) ?? node;
}

/** The span's time with all that is below it. */
export function extent(tree: TraceTree, node: SpanNode): Interval {
  const at = tree.nodes.indexOf(node);
  const inside = tree.nodes.slice(at, at + 1 + node.below);
  return inside.reduce(
    (whole, { start, end }) => ({ start: Math.min(whole.start, start), end: Math.max(whole.end, end) }),
    { start: node.start, end: node.end },
  );
}

/** Per cent of the axis. */
export interface Bar {
  left: number;
  width: number;
}

/** Undefined when it lies outside of the axis. */
export function barOf({ start, end }: Interval, axis: Interval): Bar | undefined {
  if (end < axis.start || start > axis.end) return undefined;
  const length = Math.max(1, axis.end - axis.start);
  const left = ((Math.max(start, axis.start) - axis.start) / length) * 100;
  const right = ((Math.min(end, axis.end) - axis.start) / length) * 100;
  return { left, width: right - left };
}

const MOST_PARTS = 40;
const LEAST_WIDTH = 0.1;

/** Where a span's own work is drawn: the largest parts, when there are very many. */
export function ownBars(node: SpanNode, axis: Interval): Bar[] {
  return node.own
    .map((part) => barOf(part, axis))
    .filter((bar) => bar !== undefined)
    .filter(({ width }) => width >= LEAST_WIDTH)
    .sort((a, b) => b.width - a.width)
    .slice(0, MOST_PARTS);
}

export interface Tick {
  /** Per cent of the axis. */
  left: number;
  /** Since the trace's start, ns. */
  at: number;
}

/** Marks on round times: at most `most` of them. */
export function ticks(axis: Interval, most: number): Tick[] {
  const length = Math.max(1, axis.end - axis.start);
  const step = roundStep(length / Math.max(1, most));
  const marks: Tick[] = [];
  for (let at = Math.ceil(axis.start / step) * step; at < axis.end; at += step) {
    marks.push({ at, left: ((at - axis.start) / length) * 100 });
  }
  return marks;
}

const SECOND = 1e9;
const LONG_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

function roundStep(least: number): number {
  if (least > SECOND) {
    const seconds = LONG_STEPS.find((step) => step * SECOND >= least);
    return (seconds ?? Math.ceil(least / SECOND / 86_400) * 86_400) * SECOND;
  }
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  const factor = [1, 2, 5, 10].find((times) => times * power >= least) ?? 10;
  return factor * power;
}
