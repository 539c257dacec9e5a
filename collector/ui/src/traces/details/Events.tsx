// What happened while a span ran, exceptions with their stack.
import type { Span, SpanEvent } from "../../api/traces";
import { formatNanos } from "../../time/duration";
import { unixNanos } from "../tree";
import type { TraceView } from "../useTraceView";
import { AttributeList } from "./Attributes";
import s from "./SpanDetails.module.css";

const SHOWN_APART = ["exception.type", "exception.message", "exception.stacktrace"];

export function Events({ view, span }: { view: TraceView; span: Span }) {
  if (span.events.length === 0) return null;
  const start = unixNanos(span.start);
  const events = span.events
    .map((event) => ({ event, after: Number(unixNanos(event.timestamp) - start) }))
    .sort((a, b) => a.after - b.after);
  return (
    <section className={s.section} aria-label="Events">
      <h3>
        Events <span>{events.length}</span>
      </h3>
      <ol>
        {events.map(({ event, after }, at) => (
          <li key={at} className={s.event} data-exception={event.name === "exception"}>
            <p>
              <b>{event.name || "event without a name"}</b>{" "}
              <time dateTime={event.timestamp} title={event.timestamp}>
                {after < 0 ? `${formatNanos(-after)} before the span` : `after ${formatNanos(after)}`}
              </time>
            </p>
            {event.name === "exception" && <Exception event={event} />}
            <AttributeList attributes={others(event)} view={view} />
          </li>
        ))}
      </ol>
    </section>
  );
}

function Exception({ event: { attributes } }: { event: SpanEvent }) {
  const { "exception.type": type, "exception.message": message, "exception.stacktrace": stack } = attributes;
  const said = [type, message].filter((text): text is string => typeof text === "string" && text !== "").join(": ");
  return (
    <>
      {said !== "" && <p className={s.exception}>{said}</p>}
      {typeof stack === "string" && stack !== "" && (
        <pre className={s.stack} tabIndex={0} aria-label="Stack trace">
          {stack}
        </pre>
      )}
    </>
  );
}

/** The attributes that `Exception` does not show. */
function others({ name, attributes }: SpanEvent): SpanEvent["attributes"] {
  if (name !== "exception") return attributes;
  return Object.fromEntries(Object.entries(attributes).filter(([key, value]) => !SHOWN_APART.includes(key) || typeof value !== "string"));
}
