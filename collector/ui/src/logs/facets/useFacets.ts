// Top values of the fields that are open in the sidebar.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { asApiError, type ApiError } from "../../api/client";
import { logFacets } from "../../api/logs";
import type { Facet } from "../../api/types";
import { iso } from "../../time/range";
import type { Run } from "../useLogs";

export interface Facets {
  facet: (field: string) => Facet | undefined;
  stale: boolean;
  /** Whether some of the data could not be read, and what. */
  partial: boolean;
  warnings: string[];
  error: ApiError | undefined;
  retry: () => void;
}

export function useFacets(run: Run | undefined, fields: readonly string[], limit: number): Facets {
  const times = { start: iso(run?.range.start ?? 0), end: iso(run?.range.end ?? 0) };
  const query = run?.query ?? "";
  const { data, error, isPlaceholderData, refetch } = useQuery({
    queryKey: ["logs", "facets", query, times.start, times.end, fields, limit],
    queryFn: ({ signal }) => logFacets({ ...times, query, fields: [...fields], limit }, signal),
    placeholderData: keepPreviousData,
    enabled: run !== undefined && fields.length > 0,
  });
  return {
    facet: (field) => data?.facets.find((facet) => facet.field === field),
    stale: isPlaceholderData,
    partial: data?.partial ?? false,
    warnings: data?.warnings ?? [],
    error: error === null ? undefined : asApiError(error),
    retry: () => void refetch(),
  };
}
