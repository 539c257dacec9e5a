// The exemplars of the queries that are shown.
import { useQueries } from "@tanstack/react-query";
import { useMemo } from "react";
import { asApiError } from "../../api/client";
import { queryExemplars } from "../../api/prometheus";
import type { Run } from "../useRuns";
import { toExemplars, type Exemplar } from "./exemplars";
import type { Grid } from "./step";

export interface Found {
  shown: readonly Exemplar[];
  /** How many there are, also those that are not drawn. */
  found: number;
  /** What is to be said about them, if anything. */
  problem: string | undefined;
}

const NONE: Found = { shown: [], found: 0, problem: undefined };

export function useExemplars(runs: readonly Run[], grid: Grid | undefined, on: boolean): Found {
  const wanted = on && grid !== undefined ? [...new Set(runs.map(({ expression }) => expression))] : [];
  const found = useQueries({
    queries: wanted.map((expression) => ({
      queryKey: ["metrics", "exemplars", expression, grid],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        queryExemplars(expression, grid ?? { start: 0, end: 0 }, signal),
    })),
    combine: (results) => ({
      answers: results.map(({ data }) => data),
      error: results.map(({ error }) => error).find((error) => error !== null),
      pending: results.some(({ isPending }) => isPending),
    }),
  });
  return useMemo(() => {
    if (!on) return NONE;
    const exemplars = toExemplars(found.answers.flatMap((answer) => answer?.data ?? []));
    return { ...exemplars, problem: problemOf(found, exemplars.found) };
  }, [on, found]);
}

function problemOf(
  { answers, error, pending }: { answers: readonly ({ warnings?: string[] } | undefined)[]; error: Error | undefined; pending: boolean },
  count: number,
): string | undefined {
  if (error !== undefined) {
    const failure = asApiError(error);
    return failure.status === 404 ? "This server serves no exemplars." : `Exemplars failed: ${failure.message}.`;
  }
  const [warning] = answers.flatMap((answer) => answer?.warnings ?? []);
  if (warning !== undefined) return `Exemplars: ${warning}.`;
  return !pending && count === 0 ? "No exemplars in this range." : undefined;
}
