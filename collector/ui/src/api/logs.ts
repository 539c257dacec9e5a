// The log endpoints.
import { post } from "./client";
import type {
  ContextRequest,
  ContextResponse,
  FacetsRequest,
  FacetsResponse,
  FieldsResponse,
  HistogramRequest,
  HistogramResponse,
  Order,
  PatternsRequest,
  PatternsResponse,
  RunTimes,
  SearchPage,
  SearchRequest,
  ValuesResponse,
} from "./types";

export function searchLogs(request: SearchRequest, signal: AbortSignal): Promise<SearchPage> {
  return post("/api/v1/logs/search", request, signal);
}

export function logHistogram(request: HistogramRequest, signal: AbortSignal): Promise<HistogramResponse> {
  return post("/api/v1/logs/histogram", request, signal);
}

/** Top values of some fields among the matching records. */
export function logFacets(request: FacetsRequest, signal: AbortSignal): Promise<FacetsResponse> {
  return post("/api/v1/logs/facets", request, signal);
}

/** Names of the fields there are. */
export function logFields(
  request: RunTimes & { prefix?: string; limit?: number },
  signal: AbortSignal,
): Promise<FieldsResponse> {
  return post("/api/v1/logs/fields", request, signal);
}

/** Values of a field that begin with a prefix. */
export function logValues(
  request: RunTimes & { field: string; prefix: string; limit: number },
  signal: AbortSignal,
): Promise<ValuesResponse> {
  return post("/api/v1/logs/values", request, signal);
}

/** The records of the same stream before and after one. */
export function logContext(request: ContextRequest, signal: AbortSignal): Promise<ContextResponse> {
  return post("/api/v1/logs/context", request, signal);
}

export function logPatterns(request: PatternsRequest, signal: AbortSignal): Promise<PatternsResponse> {
  return post("/api/v1/logs/patterns", request, signal);
}

export interface ExportRequest extends RunTimes {
  format: "ndjson" | "csv";
  order: Order;
  /** CSV columns; empty is the server's choice. */
  fields: string[];
  /** Undefined is no limit. */
  limit: number | undefined;
}

/** Where the browser downloads matching records from, however many there are. */
export function exportAddress(request: ExportRequest): string {
  const { start, end, query, format, order, fields, limit } = request;
  const params = new URLSearchParams({ start, end, query, format, order });
  if (format === "csv" && fields.length > 0) params.set("fields", fields.join(","));
  if (limit !== undefined) params.set("limit", String(limit));
  return `/api/v1/logs/export?${params.toString()}`;
}

/** Where matching records are streamed from as they arrive. */
export function tailAddress(query: string, backlog: number): string {
  return `/api/v1/logs/tail?${new URLSearchParams({ query, backlog: String(backlog) }).toString()}`;
}
