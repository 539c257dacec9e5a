// The patterns of a run, compared with another range when asked.
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { asApiError, type ApiError } from "../../api/client";
import { logPatterns } from "../../api/logs";
import type { PatternsResponse } from "../../api/types";
import { iso, type TimeRange } from "../../time/range";
import type { Run } from "../useLogs";

export interface Patterns {
  found: PatternsResponse | undefined;
  running: boolean;
  stale: boolean;
  cancelled: boolean;
  error: ApiError | undefined;
  cancel: () => void;
  retry: () => void;
}

const MOST_PATTERNS = 100;

export function usePatterns(run: Run, compare: TimeRange | undefined): Patterns {
  const client = useQueryClient();
  const times = { start: iso(run.range.start), end: iso(run.range.end) };
  const other = compare && { start: iso(compare.start), end: iso(compare.end) };
  const queryKey = ["logs", "patterns", run.query, times, other];
  const { data, error, isFetching, isPending, isPlaceholderData, refetch } = useQuery({
    queryKey,
    queryFn: ({ signal }) =>
      logPatterns({ ...times, query: run.query, limit: MOST_PATTERNS, ...(other ? { compare: other } : {}) }, signal),
    placeholderData: keepPreviousData,
  });
  return {
    found: data,
    running: isFetching,
    stale: isPlaceholderData,
    cancelled: !isFetching && error === null && (isPending || isPlaceholderData),
    error: error === null ? undefined : asApiError(error),
    cancel: () => void client.cancelQueries({ queryKey }),
    retry: () => void refetch(),
  };
}
