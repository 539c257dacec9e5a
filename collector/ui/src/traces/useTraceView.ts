// What is shown of a trace and how that is changed. All of it is in the URL, but
// for the span the keyboard is on and what is folded, which last as long as the page.
import { useCallback, useMemo, useState } from "react";
import type { TraceResponse } from "../api/traces";
import { navigate, useLocation } from "../app/location";
import { ancestors, extent, shownInstead, shownNodes } from "./layout";
import { highlighted, nextAmong } from "./match";
import { readState, traceUrl, type TraceState } from "./state";
import type { Interval, SpanNode, TraceTree } from "./tree";

export interface TraceView {
  trace: TraceResponse;
  tree: TraceTree;
  state: TraceState;
  /** The rows, in order. */
  shown: readonly SpanNode[];
  folded: ReadonlySet<string>;
  /** The row that the keyboard is on. */
  active: SpanNode;
  /** The span whose details are shown. */
  opened: SpanNode | undefined;
  /** The span that the time axis is about; undefined for the whole trace. */
  zoomed: SpanNode | undefined;
  axis: Interval;
  /** Undefined when nothing is highlighted. */
  highlight: ReadonlySet<SpanNode> | undefined;
  show: (change: Partial<TraceState>, replace?: boolean) => void;
  /** The address of this view, changed. */
  link: (change: Partial<TraceState>) => string;
  open: (node: SpanNode) => void;
  close: () => void;
  /** Puts the keyboard on a span, unfolding what hides it; the details follow when they are open. */
  goTo: (node: SpanNode) => void;
  /** To a row, by its place; beyond the ends, to the first or last. */
  goToRow: (index: number) => void;
  /** To the next span that failed or is highlighted. */
  step: (to: "error" | "highlight", by: 1 | -1) => void;
  zoom: (node: SpanNode | undefined) => void;
  fold: (node: SpanNode, folded: boolean) => void;
  foldAll: (folded: boolean) => void;
}

/** What is folded of each trace that was looked at: it is so again on the way back. */
const foldedOf = new Map<string, ReadonlySet<string>>();
const NONE: ReadonlySet<string> = new Set();

export function useTraceView(trace: TraceResponse, tree: TraceTree): TraceView {
  const id = trace.trace_id;
  const { search } = useLocation();
  const state = useMemo(() => readState(search), [search]);
  const [folded, setFoldedState] = useState(() => foldedOf.get(id) ?? NONE);
  const [cursor, setCursor] = useState<string>();
  const find = useMemo(() => finder(tree), [tree]);

  const setFolded = useCallback(
    (next: ReadonlySet<string>) => {
      foldedOf.set(id, next);
      setFoldedState(next);
    },
    [id],
  );
  const shown = useMemo(() => shownNodes(tree, folded), [tree, folded]);
  const opened = find(state.span);
  const zoomed = find(state.zoom);
  const active = shownInstead(opened ?? find(cursor) ?? tree.main, folded);
  const axis = useMemo(
    () => (zoomed === undefined ? { start: 0, end: tree.duration } : extent(tree, zoomed)),
    [tree, zoomed],
  );
  const { text, service } = state;
  const highlight = useMemo(() => highlighted(tree, { text, service }), [tree, text, service]);

  const show = (change: Partial<TraceState>, replace = false) =>
    navigate(traceUrl(id, { ...state, ...change }), { replace, sameTime: true });
  const goTo = (node: SpanNode) => {
    const hiding = ancestors(node).filter(({ key }) => folded.has(key));
    if (hiding.length > 0) setFolded(without(folded, hiding));
    setCursor(node.key);
    // The first span opened is a step that Back takes back; moving on is not.
    if (opened !== undefined && opened !== node) show({ span: node.key }, true);
  };
  return {
    ...{ trace, tree, state, shown, folded, active, opened, zoomed, axis, highlight, show, goTo },
    link: (change) => window.location.origin + traceUrl(id, { ...state, ...change }),
    open: (node) => {
      setCursor(node.key);
      if (opened !== node) show({ span: node.key }, state.span !== undefined);
    },
    close: () => {
      if (state.span === undefined) return;
      setCursor(state.span);
      show({ span: undefined });
    },
    goToRow: (index) => {
      const node = shown[Math.min(shown.length - 1, Math.max(0, index))];
      if (node !== undefined) goTo(node);
    },
    step: (to, by) => {
      const wanted = (node: SpanNode) => (to === "error" ? node.isError : highlight?.has(node) === true);
      const node = nextAmong(tree, wanted, active, by);
      if (node !== undefined) goTo(node);
    },
    zoom: (node) => show({ zoom: node?.key }),
    fold: (node, fold) => {
      if (node.children.length === 0) return;
      setFolded(fold ? new Set([...folded, node.key]) : without(folded, [node]));
    },
    foldAll: (fold) => setFolded(fold ? new Set(tree.nodes.filter(({ below }) => below > 0).map(({ key }) => key)) : NONE),
  };
}

function without(folded: ReadonlySet<string>, nodes: readonly SpanNode[]): ReadonlySet<string> {
  const gone = new Set(nodes.map(({ key }) => key));
  return new Set([...folded].filter((key) => !gone.has(key)));
}

/** A span by its key; by its id where several share one, the first. */
function finder(tree: TraceTree): (key: string | undefined) => SpanNode | undefined {
  const nodes = new Map([...tree.nodes].reverse().map((node) => [node.span.span_id, node]));
  for (const node of tree.nodes) nodes.set(node.key, node);
  return (key) => (key === undefined ? undefined : nodes.get(key));
}
