// The page of no trace in particular: a box for an id, and the traces looked at last.
import { Link } from "../app/Link";
import { usePreferences } from "../app/preferences";
import { useShortcuts } from "../app/shortcuts";
import { formatNanos } from "../time/duration";
import { dayTime } from "../time/format";
import { FindTrace } from "./FindTrace";
import { useRecentTraces } from "./recentTraces";
import { traceUrl } from "./state";
import s from "./TracesPage.module.css";

export function TracesPage() {
  const recent = useRecentTraces();
  const { zone } = usePreferences();
  useShortcuts({ "/": () => document.querySelector<HTMLInputElement>("[data-trace-id]")?.focus() });
  return (
    <main className="page">
      <div className={s.content}>
        <h1>Open a trace</h1>
        <FindTrace focused />
        <p className={s.hint}>
          Traces are also found from a record on the <Link href="/ui/logs">Logs</Link> page that has a trace id, and from
          the exemplars of a graph on the <Link href="/ui/metrics">Metrics</Link> page.
        </p>
        {recent.length > 0 && (
          <section aria-labelledby="recent-traces">
            <h2 id="recent-traces">Looked at last in this browser</h2>
            <ul className={s.list}>
              {recent.map((trace) => (
                <li key={trace.id}>
                  <Link href={traceUrl(trace.id)}>
                    <span className={s.name}>{trace.name || "span without a name"}</span>
                    <span className={s.service}>{trace.service}</span>
                    <span className={s.facts}>
                      {trace.errors > 0 && <b>{trace.errors === 1 ? "1 error" : `${trace.errors.toLocaleString("en")} errors`}</b>}
                      {formatNanos(trace.duration)}
                      <time>{dayTime(trace.start, zone)}</time>
                    </span>
                    <code>{trace.id}</code>
                  </Link>
                </li>
              ))}
            </ul>
          </section>
        )}
      </div>
    </main>
  );
}
