// The spans that a span is linked to, most often in other traces.
import type { Span } from "../../api/traces";
import { Link } from "../../app/Link";
import { serverTime } from "../../time/range";
import { traceUrl } from "../state";
import type { TraceView } from "../useTraceView";
import { AttributeList } from "./Attributes";
import s from "./SpanDetails.module.css";

export function Links({ view, span }: { view: TraceView; span: Span }) {
  if (span.links.length === 0) return null;
  return (
    <section className={s.section} aria-label="Links">
      <h3>
        Links <span>{span.links.length}</span>
      </h3>
      <ol>
        {span.links.map((link, at) => (
          <li key={at} className={s.event}>
            <p>
              <Link href={traceUrl(link.trace_id, { span: link.span_id, at: serverTime(span.start) })}>
                {link.trace_id === span.trace_id ? "Span of this trace" : "Another trace"}
              </Link>{" "}
              <code>
                {link.trace_id === span.trace_id ? "" : `${link.trace_id} `}
                {link.span_id}
              </code>
            </p>
            {link.trace_state !== "" && <p className={s.muted}>trace state {link.trace_state}</p>}
            <AttributeList attributes={link.attributes} view={view} />
          </li>
        ))}
      </ol>
    </section>
  );
}
