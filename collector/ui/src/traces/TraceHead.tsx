// What a trace is, at a glance, and the ways from it.
import type { ReactNode } from "react";
import { Link } from "../app/Link";
import { usePreferences } from "../app/preferences";
import { formatNanos } from "../time/duration";
import { exactTime, zoneName } from "../time/format";
import { serverTime } from "../time/range";
import { copy } from "../widgets/copy";
import { Icon } from "../widgets/Icon";
import { Tool } from "../widgets/Tool";
import { logsOfTrace } from "./logsLink";
import s from "./TraceHead.module.css";
import type { LoadedTrace } from "./useTrace";
import type { TraceView } from "./useTraceView";

export function TraceHead({ view, loaded }: { view: TraceView; loaded: LoadedTrace }) {
  const { zone } = usePreferences();
  const { trace, tree } = view;
  const { main, services, errors, nodes } = tree;
  const started = nodes.reduce((a, b) => (b.start < a.start ? b : a), main).span.start;
  const time = serverTime(started);
  return (
    <header className={s.head}>
      <div className={s.title}>
        <h1 title={main.span.name}>{main.span.name || "span without a name"}</h1>
        <span className={s.service}>{main.span.service}</span>
        {tree.roots.length > 1 && (
          <span className={s.roots}>
            and {(tree.roots.length - 1).toLocaleString("en")} more {tree.roots.length === 2 ? "root" : "roots"}
          </span>
        )}
        <span className={s.ways}>
          <Link href={logsOfTrace(trace)}>Logs of this trace</Link>
          <button type="button" className="quiet" onClick={() => void copy(view.link({}), "Link")} title="Copy a link to what is shown">
            <Icon name="link" /> Copy link
          </button>
          <a className={s.json} href={`/api/v1/traces/${trace.trace_id}`} target="_blank" rel="noreferrer">
            JSON
          </a>
          <Tool icon="refresh" name="Refresh" title="Read the trace again (r)" disabled={loaded.loading} onClick={loaded.read} />
        </span>
      </div>
      <dl className={s.facts}>
        <Fact name="Trace">
          <code>{trace.trace_id}</code>
          <Tool icon="copy" name="Copy trace id" title="Copy the trace's id" onClick={() => void copy(trace.trace_id, "Trace id")} />
        </Fact>
        <Fact name="Start">
          {exactTime(started, time, zone)} <span className={s.zone}>{zoneName(zone, time)}</span>
        </Fact>
        <Fact name="Duration">
          <b>{formatNanos(tree.duration)}</b>
        </Fact>
        <Fact name="Spans">
          <b>{nodes.length.toLocaleString("en")}</b>
        </Fact>
        <Fact name="Services">
          <b>{services.length.toLocaleString("en")}</b>
        </Fact>
        <Fact name="Errors">
          {errors === 0 ? (
            <b>0</b>
          ) : (
            <button type="button" className={s.errors} title="Go to the next span that failed (e)" onClick={() => view.step("error", 1)}>
              <b>{errors.toLocaleString("en")}</b> <Icon name="down" />
              <span className="hidden">spans failed: go to the next</span>
            </button>
          )}
        </Fact>
      </dl>
    </header>
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
