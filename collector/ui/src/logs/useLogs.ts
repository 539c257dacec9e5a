// What the Logs page asks the server: pages of records and the histogram of one
// run, a run being a query over a resolved range.
import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { asApiError, type ApiError } from "../api/client";
import { logHistogram, searchLogs } from "../api/logs";
import type { LogRecord, Order, SearchPage, SearchStats } from "../api/types";
import { iso, type TimeRange } from "../time/range";
import { GROUPS, toBars, type Bars } from "./histogram/bars";

export interface Run {
  query: string;
  range: TimeRange;
  order: Order;
}

export interface Found {
  run: Run;
  records: LogRecord[];
  /** What the first page cost. */
  stats: SearchStats;
  pages: number;
  partial: boolean;
  warnings: string[];
}

export interface Logs {
  found: Found | undefined;
  bars: Bars | undefined;
  /** Why this run has no answer. */
  error: ApiError | undefined;
  /** Why the next page did not come. */
  pageError: ApiError | undefined;
  histogramError: ApiError | undefined;
  running: boolean;
  /** What is shown belongs to an earlier run. */
  stale: boolean;
  histogramStale: boolean;
  cancelled: boolean;
  hasMore: boolean;
  loadingMore: boolean;
  /** The reader stopped the loading of more. */
  stopped: boolean;
  loadMore: () => void;
  retry: () => void;
  cancel: () => void;
}

/** The first page comes quickly; those after it are for who goes on. */
const FIRST_PAGE = 200;
const NEXT_PAGE = 1000;
const BUCKETS = 90;

/** `by` is the field that the histogram counts by; undefined when none is shown. */
export function useLogs(run: Run | undefined, by: string | undefined): Logs {
  const client = useQueryClient();
  const times = { start: iso(run?.range.start ?? 0), end: iso(run?.range.end ?? 0) };
  const query = run?.query ?? "";
  const order = run?.order ?? "newest";

  const search = useInfiniteQuery({
    queryKey: ["logs", "search", query, times.start, times.end, order],
    queryFn: async ({ pageParam, signal }): Promise<{ page: SearchPage; run: Run | undefined }> => {
      const page = pageParam === undefined ? { limit: FIRST_PAGE } : { limit: NEXT_PAGE, cursor: pageParam };
      const found = await searchLogs({ ...times, query, order, ...page }, signal);
      return { page: found, run };
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ page }) => page.cursor ?? undefined,
    placeholderData: keepPreviousData,
    structuralSharing: false,
    enabled: run !== undefined,
  });
  const histogram = useQuery({
    queryKey: ["logs", "histogram", query, times.start, times.end, by],
    queryFn: async ({ signal }) => {
      const request = { ...times, query, buckets: BUCKETS, by: by ? [by] : [], groups: GROUPS };
      return toBars(await logHistogram(request, signal), by ?? "");
    },
    placeholderData: keepPreviousData,
    enabled: run !== undefined && by !== undefined,
  });

  const current = useMemo(() => search.data && toFound(search.data.pages), [search.data]);
  const failure = search.error === null ? undefined : asApiError(search.error);
  const error = search.isFetchNextPageError ? undefined : failure;
  const kept = useKept(current);
  const found = current ?? (error?.temporary === true && kept?.run.query === query ? kept : undefined);
  const [stoppedRun, setStoppedRun] = useState<Run>();
  const running = search.isFetching && !search.isFetchingNextPage;
  return {
    found,
    bars: histogram.data,
    error,
    pageError: search.isFetchNextPageError ? failure : undefined,
    histogramError: histogram.error === null ? undefined : asApiError(histogram.error),
    running,
    stale: search.isPlaceholderData || (current === undefined && found !== undefined),
    histogramStale: histogram.isPlaceholderData,
    cancelled:
      run !== undefined && !search.isFetching && (search.isPending || search.isPlaceholderData),
    hasMore: search.hasNextPage && !search.isPlaceholderData,
    loadingMore: search.isFetchingNextPage,
    stopped: stoppedRun !== undefined && stoppedRun === run,
    loadMore: () => {
      setStoppedRun(undefined);
      void search.fetchNextPage();
    },
    retry: () => {
      void search.refetch();
      if (by !== undefined) void histogram.refetch();
    },
    cancel: () => {
      if (search.isFetchingNextPage) setStoppedRun(run);
      void client.cancelQueries({ queryKey: ["logs"] });
    },
  };
}

/** The last answer there was. */
function useKept(current: Found | undefined): Found | undefined {
  const [kept, keep] = useState(current);
  if (current !== undefined && current !== kept) keep(current);
  return kept;
}

function toFound(pages: { page: SearchPage; run: Run | undefined }[]): Found | undefined {
  const first = pages[0];
  if (first?.run === undefined) return undefined;
  return {
    run: first.run,
    records: pages.flatMap(({ page }) => page.records),
    stats: first.page.stats,
    pages: pages.length,
    partial: pages.some(({ page }) => page.partial),
    warnings: [...new Set(pages.flatMap(({ page }) => page.warnings ?? []))],
  };
}
