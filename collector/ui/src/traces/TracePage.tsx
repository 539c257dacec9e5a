// The page of one trace, or what stands in its way.
import { useEffect } from "react";
import type { TraceResponse } from "../api/traces";
import { Link } from "../app/Link";
import { navigate, useLocation } from "../app/location";
import { useShortcuts } from "../app/shortcuts";
import { serverTime } from "../time/range";
import { Message } from "../widgets/Message";
import { FindTrace } from "./FindTrace";
import { logsNear } from "./logsLink";
import { rememberTrace } from "./recentTraces";
import { idInPath, readState, readTrace, TRACES, traceUrl } from "./state";
import s from "./TracePage.module.css";
import { TraceContent } from "./TraceContent";
import { useTrace, type LoadedTrace } from "./useTrace";

export function TracePage() {
  const { path, search } = useLocation();
  const written = idInPath(path);
  const id = readTrace(written)?.id;
  useEffect(() => {
    // One address for each trace, however its id was written.
    if (id !== undefined && id !== written) navigate(traceUrl(id, readState(search)), { replace: true, sameTime: true });
  }, [id, written, search]);
  if (id === undefined) return <NoTraceId written={written} />;
  return <KnownId key={id} id={id} />;
}

function KnownId({ id }: { id: string }) {
  const loaded = useTrace(id);
  const { trace, tree, error } = loaded;
  useShortcuts({ r: loaded.read });
  useEffect(() => {
    if (trace === undefined || tree === undefined) return;
    const { name, service, start } = tree.main.span;
    rememberTrace({ id, name, service, start: serverTime(start), duration: tree.duration, errors: tree.errors });
  }, [id, trace, tree]);

  if (trace !== undefined && tree !== undefined) return <TraceContent trace={trace} tree={tree} loaded={loaded} />;
  return (
    <main className={s.page} aria-busy={loaded.loading}>
      <h1 className="hidden">Trace {id}</h1>
      <div className={s.progress} data-running={loaded.loading} />
      {error?.code === "trace_not_found" ? (
        <NotStored id={id} loaded={loaded} />
      ) : error !== undefined ? (
        <Message title="The trace could not be read" kind="error">
          <p>
            {error.message}
            {error.hint !== undefined && ` – ${error.hint}`}
          </p>
          <Again loaded={loaded} />
        </Message>
      ) : trace !== undefined ? (
        <Unreadable trace={trace} loaded={loaded} />
      ) : (
        <p className={s.loading}>Reading trace {id}…</p>
      )}
    </main>
  );
}

function NotStored({ id, loaded }: { id: string; loaded: LoadedTrace }) {
  const { search } = useLocation();
  const { at } = readState(search);
  return (
    <Message title="No span of this trace is stored">
      <p>
        <code>{id}</code>
      </p>
      <p>
        Its application may not have sampled it, or not have sent its spans yet: most send them every few seconds. What
        is older than the retention is gone.
      </p>
      <p>
        Its log records may be there all the same: <Link href={logsNear(id, at)}>Logs of this trace</Link>
        {at === undefined && " of the last 24 hours"}.
      </p>
      <Again loaded={loaded} />
      <h2 className={s.other}>Another trace</h2>
      <FindTrace />
    </Message>
  );
}

function Unreadable({ trace, loaded }: { trace: TraceResponse; loaded: LoadedTrace }) {
  return (
    <Message title="The trace's spans could not be read" kind="error">
      <p>{(trace.warnings ?? []).join(" ")}</p>
      <Again loaded={loaded} />
    </Message>
  );
}

function Again({ loaded }: { loaded: LoadedTrace }) {
  return (
    <button type="button" disabled={loaded.loading} onClick={loaded.read}>
      {loaded.loading ? "Reading…" : "Try again"}
    </button>
  );
}

function NoTraceId({ written }: { written: string }) {
  return (
    <main className="page">
      <h1 className="hidden">Traces</h1>
      <Message title="This is not a trace id">
        <p>
          <code className={s.written}>{written}</code>
        </p>
        <p>A trace id is up to 32 hexadecimal digits, not all of them zero. Look for another one:</p>
        <FindTrace />
        <p className={s.other}>
          Or go to <Link href={TRACES}>Traces</Link> or <Link href="/ui/logs">Logs</Link>.
        </p>
      </Message>
    </main>
  );
}
