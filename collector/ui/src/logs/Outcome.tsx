// What stands in place of rows, or above them, when a search did not simply
// succeed: nothing found, failed, cancelled, partial, out of date.
import type { ReactNode } from "react";
import type { ApiError } from "../api/client";
import { formatDuration } from "../time/duration";
import { dayTime, type Zone } from "../time/format";
import type { TimeRange } from "../time/range";
import { Message } from "../widgets/Message";
import s from "./Outcome.module.css";
import type { Found, Logs } from "./useLogs";

export function Nothing({ query, range, zone, onZoomOut, onClear, onLastDay }: {
  query: string;
  range: TimeRange;
  zone: Zone;
  onZoomOut: () => void;
  onClear: () => void;
  onLastDay: () => void;
}) {
  return (
    <Message title="No records found">
      <p>
        Nothing between {dayTime(range.start, zone)} and {dayTime(range.end, zone)} (
        {formatDuration(range.end - range.start)}
        ){query === "" ? "." : <> matches <code>{query}</code>.</>}
      </p>
      <p>
        <button type="button" onClick={onZoomOut}>
          Zoom out
        </button>
        <button type="button" onClick={onLastDay}>
          Last 24 hours
        </button>
        {query !== "" && (
          <button type="button" onClick={onClear}>
            Clear the search
          </button>
        )}
      </p>
      {query === "" && (
        <>
          <p>To send logs, point any OpenTelemetry SDK or collector here:</p>
          <pre>
            OTEL_EXPORTER_OTLP_ENDPOINT={window.location.origin}/otlp{"\n"}
            OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
          </pre>
        </>
      )}
    </Message>
  );
}

export function Failure({ error, onRetry }: { error: ApiError; onRetry: () => void }) {
  if (error.position !== undefined || error.code === "invalid_query") {
    return (
      <Message title="The search was not understood">
        <p>
          {error.position === undefined ? "The reason stands above." : "The place is marked in the search above."}{" "}
          Nothing was searched.
        </p>
      </Message>
    );
  }
  return (
    <Message title="The search failed" kind="error">
      <p>{error.message}</p>
      {error.hint !== undefined && <p>{error.hint}</p>}
      <p>
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      </p>
      {error.requestId !== undefined && (
        <p>
          Request <code>{error.requestId}</code>
        </p>
      )}
    </Message>
  );
}

export function Cancelled({ onRetry }: { onRetry: () => void }) {
  return (
    <Message title="Cancelled">
      <p>The search was stopped before it answered.</p>
      <button type="button" onClick={onRetry}>
        Run again
      </button>
    </Message>
  );
}

/** Lines above the rows, each saying why they are not the whole and newest truth. */
export function Banners({ logs, zone }: { logs: Logs; zone: Zone }) {
  const { found, bars, error } = logs;
  if (found === undefined) return null;
  const partial = found.partial || bars?.partial === true;
  const warnings = [...new Set([...found.warnings, ...(bars?.warnings ?? [])])];
  return (
    <div role="status">
      {error !== undefined && (
        <Banner kind="error" onRetry={logs.retry}>
          <b>Out of date.</b> {error.message}. Shown are the records of {shownAt(found, zone)}.
        </Banner>
      )}
      {logs.cancelled && (
        <Banner kind="warn" onRetry={logs.retry}>
          <b>Cancelled.</b> Shown are the records of {shownAt(found, zone)}, from the search before.
        </Banner>
      )}
      {partial && (
        <Banner kind="warn" onRetry={logs.retry}>
          <b>Partial result:</b>{" "}
          {warnings.join(" ") || "some of the data could not be read, so records may be missing."}
        </Banner>
      )}
    </div>
  );
}

function shownAt(found: Found, zone: Zone): string {
  return `${dayTime(found.run.range.start, zone)} – ${dayTime(found.run.range.end, zone)}`;
}

function Banner({ kind, onRetry, children }: {
  kind: "warn" | "error";
  onRetry: () => void;
  children: ReactNode;
}) {
  return (
    <div className={s.banner} data-kind={kind}>
      <p>{children}</p>
      <button type="button" className="quiet" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}

/** Behind the last row: more to come, the end, or why the next page is missing. */
export function Footer({ logs }: { logs: Logs }) {
  if (logs.pageError !== undefined) {
    return (
      <span role="alert">
        More records could not be loaded: {logs.pageError.message}.{" "}
        <button type="button" onClick={logs.loadMore}>
          Try again
        </button>
      </span>
    );
  }
  if (logs.stopped) {
    return (
      <span>
        Stopped: there are more records than the {logs.found?.records.length.toLocaleString("en")} loaded.{" "}
        <button type="button" onClick={logs.loadMore}>
          Continue
        </button>
      </span>
    );
  }
  if (logs.loadingMore) {
    return (
      <span>
        Loading more…{" "}
        <button type="button" onClick={logs.cancel}>
          Stop
        </button>
      </span>
    );
  }
  if (logs.hasMore) return " ";
  return logs.found === undefined || logs.stale ? " " : "No more records in this time range.";
}
