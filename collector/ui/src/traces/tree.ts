// The tree of a trace's spans. Whatever was sent makes one: a span whose parent is not
// there is a root, a ring of parents is cut, a span received twice is shown once.
import type { Span } from "../api/traces";

/** Nanoseconds since the trace's start. */
export interface Interval {
  start: number;
  end: number;
}

export type Problem =
  /** Its parent is not among the spans. */
  | "orphan"
  /** It is an ancestor of itself. */
  | "cycle"
  /** It starts before its parent, which clocks that differ make so. */
  | "early";

export interface SpanNode extends Interval {
  span: Span;
  /** The span's id; where another span has the same, the row's. */
  key: string;
  parent: SpanNode | undefined;
  /** By start. */
  children: SpanNode[];
  /** 0 for roots. */
  depth: number;
  /** Its place among its siblings, from 0. */
  place: number;
  /** When none of its children ran. */
  own: Interval[];
  /** How long that was, ns. */
  ownTime: number;
  isError: boolean;
  /** How many spans are below it, and how many of them failed. */
  below: number;
  errorsBelow: number;
  problem: Problem | undefined;
}

export interface Service {
  name: string;
  spans: number;
  errors: number;
}

export interface TraceTree {
  roots: SpanNode[];
  /** All spans, each before its children. */
  nodes: SpanNode[];
  /** The span that the trace is named after: the first without a parent. */
  main: SpanNode;
  /** When the first span starts, Unix ns. */
  start: bigint;
  /** ns. */
  duration: number;
  /** In the order of the tree. */
  services: Service[];
  errors: number;
  /** Spans whose parent is not among the spans. */
  orphans: number;
  /** Spans that start before their parent. */
  early: number;
  /** How many spans were left out because they are there already. */
  repeated: number;
}

/** Clocks of one machine differ by as much when a library counts in milliseconds. */
export const CLOCK_TOLERANCE = 1_000_000;

/** Unix ns of a server time; its nine digits are exact. */
export function unixNanos(text: string): bigint {
  const [, seconds = "", fraction = ""] = /^([^.Z]*)(?:\.(\d+))?Z?$/.exec(text) ?? [];
  const ms = Date.parse(`${seconds}Z`);
  if (Number.isNaN(ms)) return 0n;
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0").slice(0, 9));
}

/** Undefined when there are no spans. */
export function buildTree(spans: readonly Span[]): TraceTree | undefined {
  const unique = withoutRepeated(spans);
  const start = unique.map((span) => unixNanos(span.start)).reduce((a, b) => (b < a ? b : a), MOST_NANOS);
  const all = unique.map((span) => nodeOf(span, start));
  join(all);
  const roots = all.filter(({ parent }) => parent === undefined).sort(byStart);
  const nodes = inOrder(roots);
  measure(nodes);
  const main = roots.find(({ span }) => span.parent_span_id === null) ?? roots[0];
  if (main === undefined) return undefined;
  const count = (test: (node: SpanNode) => boolean) => nodes.filter(test).length;
  return {
    roots,
    nodes,
    main,
    start,
    duration: nodes.reduce((most, { end }) => Math.max(most, end), 0),
    services: servicesOf(nodes),
    errors: count(({ isError }) => isError),
    orphans: count(({ problem }) => problem === "orphan"),
    early: count(({ problem }) => problem === "early"),
    repeated: spans.length - unique.length,
  };
}

const MOST_NANOS = 1n << 63n;

/** A sender that got no answer sends again: the same span is then stored twice. */
function withoutRepeated(spans: readonly Span[]): Span[] {
  const seen = new Map<string, Span>();
  for (const span of spans) {
    const { span_id, parent_span_id, name, kind, service, start, end } = span;
    const identity = JSON.stringify([span_id, parent_span_id, name, kind, service, start, end]);
    if (!seen.has(identity)) seen.set(identity, span);
  }
  return [...seen.values()];
}

function nodeOf(span: Span, origin: bigint): SpanNode {
  const start = Number(unixNanos(span.start) - origin);
  return {
    span,
    key: span.span_id,
    start,
    end: Math.max(start, Number(unixNanos(span.end) - origin)),
    parent: undefined,
    children: [],
    depth: 0,
    place: 0,
    own: [],
    ownTime: 0,
    isError: span.status.code === "error",
    below: 0,
    errorsBelow: 0,
    problem: undefined,
  };
}

/** Gives each node its parent and key. */
function join(all: readonly SpanNode[]): void {
  const byId = new Map<string, SpanNode[]>();
  for (const node of all) {
    const same = byId.get(node.span.span_id);
    if (same === undefined) byId.set(node.span.span_id, [node]);
    else {
      same.push(node);
      node.key = node.span.id;
    }
  }
  for (const node of all) {
    const id = node.span.parent_span_id;
    if (id === null) continue;
    const parents = byId.get(id) ?? [];
    // Of two halves of a call under one id, the one in the same service is the parent.
    node.parent = parents.find(({ span }) => span.service === node.span.service) ?? parents[0];
    if (node.parent === undefined) node.problem = "orphan";
  }
  cutCycles(all);
  for (const node of all) {
    if (node.parent === undefined) continue;
    node.parent.children.push(node);
    if (node.start < node.parent.start - CLOCK_TOLERANCE) node.problem = "early";
  }
  for (const { children } of all) children.sort(byStart);
}

/** The first span of each ring becomes a root. */
function cutCycles(all: readonly SpanNode[]): void {
  const done = new Set<SpanNode>();
  for (const from of all) {
    const path = new Set<SpanNode>();
    let node: SpanNode | undefined = from;
    while (node !== undefined && !done.has(node) && !path.has(node)) {
      path.add(node);
      node = node.parent;
    }
    if (node !== undefined && path.has(node)) {
      const ring = [...path].slice([...path].indexOf(node));
      const [first = node] = ring.sort(byStart);
      first.parent = undefined;
      first.problem = "cycle";
    }
    for (const seen of path) done.add(seen);
  }
}

function byStart(a: SpanNode, b: SpanNode): number {
  return a.start - b.start || b.end - a.end || (a.span.id < b.span.id ? -1 : 1);
}

/** Depth first, without recursion: a trace may be as deep as it is long. */
function inOrder(roots: readonly SpanNode[]): SpanNode[] {
  const nodes: SpanNode[] = [];
  const waiting = [...roots].reverse();
  roots.forEach((root, place) => (root.place = place));
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    nodes.push(node);
    for (let place = node.children.length - 1; place >= 0; place -= 1) {
      const child = node.children[place];
      if (child === undefined) continue;
      child.place = place;
      child.depth = node.depth + 1;
      waiting.push(child);
    }
  }
  return nodes;
}

/** Fills in what depends on the children. */
function measure(nodes: readonly SpanNode[]): void {
  for (const node of [...nodes].reverse()) {
    node.own = gaps(node, node.children);
    node.ownTime = node.own.reduce((sum, { start, end }) => sum + end - start, 0);
    for (const { below, errorsBelow, isError } of node.children) {
      node.below += 1 + below;
      node.errorsBelow += errorsBelow + Number(isError);
    }
  }
}

/** What of an interval is covered by none of the others, which are sorted by start. */
export function gaps(whole: Interval, others: readonly Interval[]): Interval[] {
  const left: Interval[] = [];
  let reached = whole.start;
  for (const { start, end } of others) {
    if (start >= whole.end) break;
    if (start > reached) left.push({ start: reached, end: start });
    reached = Math.max(reached, end);
  }
  if (reached < whole.end) left.push({ start: reached, end: whole.end });
  return left;
}

function servicesOf(nodes: readonly SpanNode[]): Service[] {
  const services = new Map<string, Service>();
  for (const { span, isError } of nodes) {
    const service = services.get(span.service) ?? { name: span.service, spans: 0, errors: 0 };
    service.spans += 1;
    service.errors += Number(isError);
    services.set(span.service, service);
  }
  return [...services.values()];
}
