// The records of the same stream around one, continued on either side.
import { useInfiniteQuery } from "@tanstack/react-query";
import { asApiError, type ApiError } from "../../api/client";
import { logContext } from "../../api/logs";
import type { ContextResponse, LogRecord } from "../../api/types";

export interface Surroundings {
  /** Oldest first, the record itself among them. */
  records: LogRecord[];
  hasEarlier: boolean;
  hasLater: boolean;
  loading: boolean;
  loadEarlier: () => void;
  loadLater: () => void;
  error: ApiError | undefined;
  retry: () => void;
  warnings: string[];
}

type Side = { before_cursor: string } | { after_cursor: string } | undefined;

const FIRST = 20;
const MORE = 50;

export function useSurroundings(id: string): Surroundings {
  const query = useInfiniteQuery({
    queryKey: ["context", id],
    queryFn: ({ pageParam, signal }) => logContext({ id, ...amounts(pageParam), ...pageParam }, signal),
    initialPageParam: undefined as Side,
    getPreviousPageParam: ({ before_cursor }): Side => (before_cursor ? { before_cursor } : undefined),
    getNextPageParam: ({ after_cursor }): Side => (after_cursor ? { after_cursor } : undefined),
  });
  return {
    records: merge(query.data?.pages ?? [], (query.data?.pageParams ?? []) as Side[]),
    hasEarlier: query.hasPreviousPage,
    hasLater: query.hasNextPage,
    loading: query.isFetching,
    loadEarlier: () => void query.fetchPreviousPage(),
    loadLater: () => void query.fetchNextPage(),
    error: query.error === null ? undefined : asApiError(query.error),
    retry: () => void query.refetch(),
    warnings: [...new Set((query.data?.pages ?? []).flatMap((page) => page.warnings ?? []))],
  };
}

function amounts(side: Side): { before: number; after: number } {
  if (side === undefined) return { before: FIRST, after: FIRST };
  return "before_cursor" in side ? { before: MORE, after: 0 } : { before: 0, after: MORE };
}

/** The first page has the record in its middle; the others go on from it. */
function merge(pages: ContextResponse[], sides: Side[]): LogRecord[] {
  return pages.flatMap((page, at) =>
    sides[at] === undefined ? [...page.before, page.record, ...page.after] : [...page.before, ...page.after],
  );
}
