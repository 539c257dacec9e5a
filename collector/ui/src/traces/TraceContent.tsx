// A trace: its head, the waterfall of its spans, and one span's details.
import { useRef } from "react";
import type { TraceResponse } from "../api/traces";
import { usePreferences } from "../app/preferences";
import { useShortcuts } from "../app/shortcuts";
import { dayTime } from "../time/format";
import { SpanDetails } from "./details/SpanDetails";
import { TraceHead } from "./TraceHead";
import s from "./TracePage.module.css";
import { TraceToolbar } from "./TraceToolbar";
import type { TraceTree } from "./tree";
import type { LoadedTrace } from "./useTrace";
import { useTraceView, type TraceView } from "./useTraceView";
import { treeKeys } from "./waterfall/keys";
import { Waterfall } from "./waterfall/Waterfall";

interface TraceContentProps {
  trace: TraceResponse;
  tree: TraceTree;
  loaded: LoadedTrace;
}

export function TraceContent({ trace, tree, loaded }: TraceContentProps) {
  const view = useTraceView(trace, tree);
  const filter = useRef<HTMLInputElement>(null);
  useShortcuts({
    ...treeKeys(view),
    "/": () => filter.current?.select(),
    Escape: view.close,
  });
  return (
    <main className={s.page} aria-busy={loaded.loading}>
      <TraceHead view={view} loaded={loaded} />
      <TraceToolbar view={view} filter={filter} />
      <div className={s.progress} data-running={loaded.loading} />
      <Notices view={view} loaded={loaded} />
      <div className={s.parts}>
        <Waterfall view={view} />
        {view.opened !== undefined && <SpanDetails view={view} node={view.opened} />}
      </div>
    </main>
  );
}

/** What the reader must know to read the waterfall right. */
function Notices({ view, loaded }: { view: TraceView; loaded: LoadedTrace }) {
  const { zone } = usePreferences();
  const { trace, tree, state } = view;
  const { error } = loaded;
  const notes: string[] = [];
  if (tree.orphans > 0) {
    notes.push(
      `${spans(tree.orphans, "has a parent that is", "have a parent that is")} not stored: not sent yet, not sampled or lost.`,
    );
  }
  if (tree.early > 0) {
    notes.push(`${spans(tree.early, "starts before its parent", "start before their parent")}: clocks differ. Times are shown as they were sent.`);
  }
  if (tree.repeated > 0) notes.push(`${spans(tree.repeated, "was", "were")} received more than once and shown once.`);
  return (
    <>
      {error !== undefined && (
        <p className={s.problem} role="alert">
          <b>Out of date.</b> {error.message}. Shown is what was so at {dayTime(loaded.readAt, zone)}.{" "}
          <button type="button" onClick={loaded.read}>
            Try again
          </button>
        </p>
      )}
      {trace.partial === true && (
        <p className={s.problem} role="alert">
          <b>Partial.</b> Spans may be missing. {(trace.warnings ?? []).join(" ")}
        </p>
      )}
      {state.span !== undefined && view.opened === undefined && (
        <p className={s.problem} role="alert">
          The span <code>{state.span}</code> of this link is not among the trace&apos;s spans: not sent yet, not sampled
          or lost.
        </p>
      )}
      {notes.length > 0 && <p className={s.notes}>{notes.join(" ")}</p>}
    </>
  );
}

function spans(count: number, one: string, many: string): string {
  return count === 1 ? `1 span ${one}` : `${count.toLocaleString("en")} spans ${many}`;
}
