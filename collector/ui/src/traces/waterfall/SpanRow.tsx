// One span: where it is in the tree, how long it took, and its bar on the time axis.
import { formatNanos } from "../../time/duration";
import { Icon } from "../../widgets/Icon";
import { colourOf } from "../colours";
import { barOf, ownBars } from "../layout";
import { problemText } from "../problems";
import { unixNanos, type SpanNode } from "../tree";
import type { TraceView } from "../useTraceView";
import s from "./Waterfall.module.css";

interface SpanRowProps {
  id: string;
  index: number;
  /** Pixels below the first row. */
  top: number;
  node: SpanNode;
  view: TraceView;
}

const INDENT_PX = 14;
/** Deeper spans are no further in: their names would leave the column. */
const DEEPEST = 12;
const MOST_EVENTS = 30;

export function SpanRow({ id, index, top, node, view }: SpanRowProps) {
  const { span, children, depth, problem } = node;
  const { tree, highlight } = view;
  const isFolded = view.folded.has(node.key);
  const isParent = children.length > 0;
  const siblings = node.parent?.children ?? tree.roots;
  return (
    <div
      id={id}
      role="row"
      className={s.row}
      style={{ transform: `translateY(${top}px)` }}
      aria-rowindex={index + 2}
      aria-level={depth + 1}
      aria-posinset={node.place + 1}
      aria-setsize={siblings.length}
      aria-expanded={isParent ? !isFolded : undefined}
      aria-selected={view.opened === node}
      data-active={view.active === node}
      data-error={node.isError}
      data-match={highlight?.has(node)}
      onClick={() => view.open(node)}
    >
      <span role="gridcell" className={s.name} style={{ paddingLeft: Math.min(depth, DEEPEST) * INDENT_PX }}>
        <span
          className={s.fold}
          aria-hidden="true"
          title={isParent ? (isFolded ? "Unfold (→)" : "Fold (←)") : undefined}
          onClick={(event) => {
            if (!isParent) return;
            event.stopPropagation();
            view.fold(node, !isFolded);
          }}
        >
          {isParent && <Icon name={isFolded ? "right" : "down"} />}
        </span>
        <i className={s.colour} style={{ background: colourOf(tree, span.service) }} />
        {node.isError && <Badge text="error" kind="error" />}
        {problem !== undefined && <Badge text={problemText(node)} kind="problem" />}
        <span className={s.text} title={`${span.name}\n${span.service}`}>
          <b>{span.name || "span without a name"}</b> <span className={s.service}>{span.service}</span>
        </span>
        {isFolded && (
          <span className={s.below} data-error={node.errorsBelow > 0}>
            +{node.below.toLocaleString("en")}
            {node.errorsBelow > 0 && `, ${node.errorsBelow.toLocaleString("en")} failed`}
          </span>
        )}
      </span>
      <span role="gridcell" className={s.duration}>
        {formatNanos(node.end - node.start)}
      </span>
      <span role="gridcell" className={s.time}>
        <span className="hidden">after {formatNanos(node.start)}</span>
        <SpanBar node={node} view={view} />
      </span>
    </div>
  );
}

function Badge({ text, kind }: { text: string; kind: "error" | "problem" }) {
  return (
    <span className={s.badge} data-kind={kind} title={text}>
      <span aria-hidden="true">{kind === "error" ? "!" : "?"}</span>
      <span className="hidden">{text}</span>
    </span>
  );
}

/** Pale for all of the span's time, full where none of its children ran. */
function SpanBar({ node, view }: { node: SpanNode; view: TraceView }) {
  const { axis, tree } = view;
  const bar = barOf(node, axis);
  if (bar === undefined) return null;
  const { span } = node;
  const colour = colourOf(tree, span.service);
  const told = `${span.name}: ${formatNanos(node.end - node.start)}, of it ${formatNanos(node.ownTime)} its own, after ${formatNanos(node.start)}`;
  return (
    <span className={s.track} style={{ color: colour }} title={told} aria-hidden="true">
      <span className={s.bar} style={{ left: `${bar.left}%`, width: `${bar.width}%` }} />
      {ownBars(node, axis).map(({ left, width }) => (
        <span key={left} className={s.own} style={{ left: `${left}%`, width: `${width}%` }} />
      ))}
      {span.events.slice(0, MOST_EVENTS).map((event, at) => {
        const time = Number(unixNanos(event.timestamp) - tree.start);
        const place = barOf({ start: time, end: time }, axis);
        return (
          place && <i key={at} className={s.event} data-kind={event.name === "exception" ? "exception" : "event"} style={{ left: `${place.left}%` }} />
        );
      })}
    </span>
  );
}
