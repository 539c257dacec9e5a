// A trace as the server has it now; it may still grow.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { asApiError, type ApiError } from "../api/client";
import { getTrace, type TraceResponse } from "../api/traces";
import { buildTree, type TraceTree } from "./tree";

export interface LoadedTrace {
  trace: TraceResponse | undefined;
  /** Undefined without spans. */
  tree: TraceTree | undefined;
  error: ApiError | undefined;
  loading: boolean;
  /** When `trace` was read, Unix ms. */
  readAt: number;
  read: () => void;
}

const FRESH_MS = 10_000;

export function useTrace(id: string): LoadedTrace {
  const { data, error, isFetching, dataUpdatedAt, refetch } = useQuery({
    queryKey: ["trace", id],
    queryFn: ({ signal }) => getTrace(id, signal),
    staleTime: FRESH_MS,
  });
  const spans = data?.spans;
  const tree = useMemo(() => buildTree(spans ?? []), [spans]);
  return {
    trace: data,
    tree,
    error: error === null ? undefined : asApiError(error),
    loading: isFetching,
    readAt: dataUpdatedAt,
    read: () => void refetch(),
  };
}
