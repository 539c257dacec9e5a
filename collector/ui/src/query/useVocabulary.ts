// The fields and values of a time range, asked for once and then remembered.
import { useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { logFields, logValues } from "../api/logs";
import { iso, type TimeRange } from "../time/range";
import type { Vocabulary } from "./autocomplete";

const MOST_FIELDS = 1000;
const MOST_VALUES = 100;

export function useVocabulary(range: TimeRange | undefined): Vocabulary {
  const client = useQueryClient();
  return useMemo(() => {
    const times = { start: iso(range?.start ?? 0), end: iso(range?.end ?? 0), query: "" };
    return {
      fields: () =>
        client
          .query({
            queryKey: ["fields", times.start, times.end, ""],
            queryFn: ({ signal }) => logFields({ ...times, prefix: "", limit: MOST_FIELDS }, signal),
            retry: false,
          })
          .then((answer) => answer.fields)
          .catch(() => []),
      values: (field, prefix) =>
        client
          .query({
            queryKey: ["values", times.start, times.end, field, prefix],
            queryFn: ({ signal }) => logValues({ ...times, field, prefix, limit: MOST_VALUES }, signal),
            retry: false,
          })
          .then((answer) => answer.values)
          .catch(() => []),
    };
  }, [client, range]);
}
