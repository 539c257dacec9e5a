// Everything about one span, beside the waterfall.
import type { ReactNode } from "react";
import type { Span } from "../../api/traces";
import { Link } from "../../app/Link";
import { prefer, usePreferences } from "../../app/preferences";
import { formatNanos } from "../../time/duration";
import { exactTime, zoneName } from "../../time/format";
import { serverTime } from "../../time/range";
import { copy } from "../../widgets/copy";
import { ResizeHandle } from "../../widgets/ResizeHandle";
import { Tool } from "../../widgets/Tool";
import { colourOf } from "../colours";
import { logsOfSpan } from "../logsLink";
import { problemText } from "../problems";
import type { SpanNode } from "../tree";
import type { TraceView } from "../useTraceView";
import { Attributes } from "./Attributes";
import { Events } from "./Events";
import { Links } from "./Links";
import s from "./SpanDetails.module.css";

interface SpanProps {
  view: TraceView;
  node: SpanNode;
}

/** Keys that scroll the details when the focus is in them. */
const SCROLLS = /^(Arrow|Page|Home$|End$)/;

export function SpanDetails({ view, node }: SpanProps) {
  const { drawerWidth } = usePreferences();
  const { span } = node;
  const at = view.shown.indexOf(node);
  return (
    <aside
      className={s.drawer}
      style={{ width: drawerWidth }}
      aria-label="Span"
      onKeyDown={(event) => {
        if (SCROLLS.test(event.key)) event.stopPropagation();
      }}
    >
      <ResizeHandle name="Width of the span" side="left" width={drawerWidth} onResize={(width) => prefer({ drawerWidth: width })} />
      <header className={s.header}>
        <i className={s.colour} style={{ background: colourOf(view.tree, span.service) }} />
        <h2 title={span.name}>{span.name || "span without a name"}</h2>
        <Tool icon="up" name="Previous span" title="Previous (k)" onClick={() => view.goToRow(at - 1)} />
        <Tool icon="down" name="Next span" title="Next (j)" onClick={() => view.goToRow(at + 1)} />
        <Tool icon="close" name="Close" title="Close (Esc)" onClick={view.close} />
      </header>
      <div key={node.key} className={s.body} tabIndex={0} role="region" aria-label="Details of the span">
        <Ways view={view} node={node} />
        {node.isError && (
          <p className={s.failed}>
            <b>Failed</b>
            {span.status.message !== "" && `: ${span.status.message}`}
          </p>
        )}
        {node.problem !== undefined && <p className={s.odd}>This span is out of place: {problemText(node)}.</p>}
        <Facts view={view} node={node} />
        <Attributes title="Attributes" attributes={span.attributes} view={view} />
        <Events view={view} span={span} />
        <Links view={view} span={span} />
        <Attributes title="Resource" attributes={span.resource} view={view} />
        <Attributes title="Scope" attributes={span.scope} view={view} />
      </div>
    </aside>
  );
}

function Ways({ view, node }: SpanProps) {
  const { span } = node;
  const isZoomed = view.zoomed === node;
  return (
    <div className={s.ways}>
      <Link href={logsOfSpan(view.trace, span.span_id)}>Logs of this span</Link>
      <button type="button" title="The time axis shows this span (z)" onClick={() => view.zoom(isZoomed ? undefined : node)}>
        {isZoomed ? "Show the whole trace" : "Zoom in"}
      </button>
      <button type="button" onClick={() => void copy(JSON.stringify(span, null, 2), "JSON")}>
        Copy JSON
      </button>
      <button type="button" onClick={() => void copy(view.link({ span: node.key }), "Link")}>
        Copy link
      </button>
    </div>
  );
}

function Facts({ view, node }: SpanProps) {
  const { zone } = usePreferences();
  const { span, parent } = node;
  const time = serverTime(span.start);
  const afterParent = parent !== undefined && node.start > parent.end ? node.start - parent.end : undefined;
  return (
    <dl className={s.facts}>
      <Fact name="Service">{span.service || "none"}</Fact>
      <Fact name="Kind">{span.kind}</Fact>
      <Fact name="Status">{statusText(span)}</Fact>
      <Fact name="Start">
        {exactTime(span.start, time, zone)} <span className={s.muted}>{zoneName(zone, time)}</span>
      </Fact>
      <Fact name="After">
        {formatNanos(node.start)} <span className={s.muted}>of the trace</span>
        {afterParent !== undefined && <span className={s.muted}>, {formatNanos(afterParent)} after its parent ended</span>}
      </Fact>
      <Fact name="Duration">{formatNanos(node.end - node.start)}</Fact>
      {node.children.length > 0 && (
        <Fact name="Own time">
          {formatNanos(node.ownTime)} <span className={s.muted}>while none of its children ran</span>
        </Fact>
      )}
      <Fact name="Span id">
        <code>{span.span_id}</code>
        <Tool icon="copy" name="Copy span id" title="Copy the span's id" onClick={() => void copy(span.span_id, "Span id")} />
      </Fact>
      <Fact name="Parent">
        {parent !== undefined ? (
          <button type="button" className={s.parent} onClick={() => view.goTo(parent)}>
            {parent.span.name || "span without a name"}
          </button>
        ) : (
          (span.parent_span_id ?? <span className={s.muted}>none: a root</span>)
        )}
      </Fact>
      {span.trace_state !== "" && (
        <Fact name="Trace state">
          <code>{span.trace_state}</code>
        </Fact>
      )}
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function statusText({ status }: Span): string {
  // Why a span failed is said above.
  if (status.code === "error" || status.message === "") return status.code;
  return `${status.code}: ${status.message}`;
}
