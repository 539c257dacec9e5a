// The log endpoints.
import { post } from "./client";
import type { HistogramRequest, HistogramResponse, SearchPage, SearchRequest } from "./types";

export function searchLogs(request: SearchRequest, signal: AbortSignal): Promise<SearchPage> {
  return post("/api/v1/logs/search", request, signal);
}

export function logHistogram(
  request: HistogramRequest,
  signal: AbortSignal,
): Promise<HistogramResponse> {
  return post("/api/v1/logs/histogram", request, signal);
}
