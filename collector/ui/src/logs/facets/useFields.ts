// The fields there are in a time range, from the server's dictionaries.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { asApiError, type ApiError } from "../../api/client";
import { logFields } from "../../api/logs";
import type { FieldInfo } from "../../api/types";
import { iso } from "../../time/range";
import type { Run } from "../useLogs";

export interface Fields {
  fields: FieldInfo[];
  /** There are more than these: only a longer prefix finds the others. */
  more: boolean;
  loading: boolean;
  error: ApiError | undefined;
}

const MOST_FIELDS = 1000;

export function useFields(run: Run | undefined, prefix: string): Fields {
  const times = { start: iso(run?.range.start ?? 0), end: iso(run?.range.end ?? 0) };
  const { data, error, isFetching } = useQuery({
    queryKey: ["fields", times.start, times.end, prefix],
    queryFn: ({ signal }) => logFields({ ...times, query: "", prefix, limit: MOST_FIELDS }, signal),
    placeholderData: keepPreviousData,
    enabled: run !== undefined,
  });
  return {
    fields: data?.fields ?? [],
    more: data?.truncated ?? false,
    loading: isFetching,
    error: error === null ? undefined : asApiError(error),
  };
}
