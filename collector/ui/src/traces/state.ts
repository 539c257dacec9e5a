// The trace pages' addresses, and how a trace id is read from what people paste.
import { iso } from "../time/range";

export const TRACES = "/ui/traces";

export interface TraceState {
  /** The span whose details are shown: its id, or its row's where two spans share it. */
  span: string | undefined;
  /** The span that the time axis is about; undefined for the whole trace. */
  zoom: string | undefined;
  /** The words that spans are highlighted by. */
  text: string;
  /** The service that spans are highlighted by. */
  service: string | undefined;
  /** Near when the trace was, Unix ms: where its logs are looked for when it has no spans. */
  at: number | undefined;
}

export const DEFAULT_STATE: TraceState = { span: undefined, zoom: undefined, text: "", service: undefined, at: undefined };

export function readState(search: string): TraceState {
  const params = new URLSearchParams(search);
  const at = Date.parse(params.get("at") ?? "");
  return {
    span: params.get("span") ?? undefined,
    zoom: params.get("zoom") ?? undefined,
    text: params.get("q") ?? "",
    service: params.get("service") ?? undefined,
    at: Number.isNaN(at) ? undefined : at,
  };
}

/** The address of a trace; an id that is none leads to a page that says so. */
export function traceUrl(id: string, state: Partial<TraceState> = {}): string {
  const { span, zoom, text, service, at } = { ...DEFAULT_STATE, ...state };
  const params = new URLSearchParams();
  if (text !== "") params.set("q", text);
  if (service !== undefined) params.set("service", service);
  if (zoom !== undefined) params.set("zoom", zoom);
  if (span !== undefined) params.set("span", span);
  if (at !== undefined) params.set("at", iso(at));
  const search = params.toString();
  return `${TRACES}/${encodeURIComponent(id)}${search === "" ? "" : `?${search}`}`;
}

/** What stands behind `/ui/traces/`; empty for the page without a trace. */
export function idInPath(path: string): string {
  const written = path.slice(TRACES.length).replace(/^\/+|\/+$/g, "");
  try {
    return decodeURIComponent(written);
  } catch {
    return written;
  }
}

export interface NamedTrace {
  /** 32 lowercase hex digits. */
  id: string;
  span: string | undefined;
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;

/**
 * The trace that a text names: an id, also without its leading zeros or written as a
 * UUID, a `traceparent` header, `trace_id=…` or the address of a trace.
 */
export function readTrace(text: string): NamedTrace | undefined {
  const address = /\/traces\/([^/?#\s]+)(?:\?(\S*))?/.exec(text);
  if (address !== null) {
    const span = new URLSearchParams(address[2] ?? "").get("span") ?? undefined;
    return named(address[1] ?? "", span);
  }
  const value = text.trim().toLowerCase().replace(/^"?(trace[._]?id|traceparent)"?\s*[:=]\s*/, "").replace(/^["']|["',;]+$/g, "");
  const header = TRACEPARENT.exec(value);
  if (header !== null) return named(header[1] ?? "", header[2]);
  return named(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value) ? value.replaceAll("-", "") : value, undefined);
}

function named(hex: string, span: string | undefined): NamedTrace | undefined {
  if (!/^[0-9a-f]{1,32}$/i.test(hex) || /^0+$/.test(hex)) return undefined;
  return { id: hex.toLowerCase().padStart(32, "0"), span };
}
