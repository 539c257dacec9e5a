// What the Metrics page asks the server: every query that is on, over the points of
// the graph or at the range's end.
import { useQueries, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { asApiError, type ApiError } from "../api/client";
import { queryInstant, queryRange, type Answer, type QueryData } from "../api/prometheus";
import type { Grid } from "./graph/step";
import type { QueryText } from "./state";

/** When the queries are evaluated: over a grid, or at one instant, Unix ms. */
export type Moment = { grid: Grid } | { instant: number };

/** How one query fares. */
export interface Run {
  /** Which of the page's queries. */
  query: number;
  expression: string;
  legend: string;
  answer: Answer<QueryData> | undefined;
  error: ApiError | undefined;
  running: boolean;
  /** Stopped before it answered. */
  cancelled: boolean;
  /** ms from the question to the answer. */
  elapsed: number | undefined;
}

/** Answers that belong together. */
export interface Shown {
  moment: Moment;
  runs: readonly Run[];
}

export interface Runs {
  /** How each query that is on fares now. */
  runs: readonly Run[];
  /** What can be shown: of this moment, or of the one before while this one's is awaited. */
  shown: Shown | undefined;
  stale: boolean;
  running: boolean;
  cancel: () => void;
  retry: () => void;
}

interface Timed {
  answer: Answer<QueryData>;
  elapsed: number;
}

/** An undefined moment asks for nothing. */
export function useRuns(queries: readonly QueryText[], moment: Moment | undefined): Runs {
  const client = useQueryClient();
  const asked = queries.flatMap(({ on, expression, legend }, query) =>
    on && expression.trim() !== "" ? [{ query, expression, legend }] : [],
  );
  const results = useQueries({
    queries: asked.map(({ expression }) => ({
      queryKey: ["metrics", "run", expression, moment],
      queryFn: ({ signal }: { signal: AbortSignal }) => ask(expression, moment, signal),
      enabled: moment !== undefined,
      structuralSharing: false,
      retry: (failures: number, error: unknown) => failures < 2 && worthAnother(asApiError(error)),
    })),
  });
  const runs = asked.map(({ query, expression, legend }, at): Run => {
    const result = results[at];
    return {
      query,
      expression,
      legend,
      answer: result?.data?.answer,
      error: result?.error ? asApiError(result.error) : undefined,
      running: result?.isFetching ?? false,
      cancelled: moment !== undefined && result?.isPending === true && !result.isFetching,
      elapsed: result?.data?.elapsed,
    };
  });
  const running = runs.some((run) => run.running);
  const waiting = runs.some((run) => run.answer === undefined && (run.running || run.cancelled));
  const unreached = runs.some(({ error }) => error?.temporary === true);
  const now = moment && { moment, runs };
  const kept = useKept(waiting || unreached ? undefined : now, runs, moment);
  const stale = (waiting || unreached) && kept !== undefined;
  return {
    runs,
    shown: kept ?? now,
    stale,
    running,
    cancel: () => void client.cancelQueries({ queryKey: ["metrics", "run"] }),
    retry: () => void client.refetchQueries({ queryKey: ["metrics", "run"], type: "active" }),
  };
}

async function ask(expression: string, moment: Moment | undefined, signal: AbortSignal): Promise<Timed> {
  const began = performance.now();
  const answer = await answerAt(expression, moment ?? { instant: Date.now() }, signal);
  return { answer, elapsed: performance.now() - began };
}

function answerAt(expression: string, moment: Moment, signal: AbortSignal): Promise<Answer<QueryData>> {
  if ("instant" in moment) return queryInstant(expression, moment.instant, signal);
  return queryRange(expression, moment.grid, moment.grid.step, signal);
}

/** A query that took too long takes too long again. */
function worthAnother(error: ApiError): boolean {
  return error.temporary && error.code !== "timeout";
}

/**
 * The last whole answers of the same kind of moment to what is still asked; the same
 * object as long as they are the same.
 */
function useKept(whole: Shown | undefined, asked: readonly Run[], moment: Moment | undefined): Shown | undefined {
  const [kept, keep] = useState(whole);
  if (whole !== undefined && !sameAnswers(whole, kept)) {
    keep(whole);
    return whole;
  }
  if (kept === undefined || moment === undefined || "grid" in kept.moment !== "grid" in moment) return undefined;
  const expressions = new Set(asked.map(({ expression }) => expression));
  const current = kept.runs.filter(({ expression }) => expressions.has(expression));
  if (current.length === kept.runs.length) return kept;
  return current.length === 0 ? undefined : { moment: kept.moment, runs: current };
}

function sameAnswers(a: Shown, b: Shown | undefined): boolean {
  if (a.runs.length !== b?.runs.length) return false;
  return a.runs.every((run, at) => {
    const { answer, error, query, legend } = b.runs[at] ?? {};
    const same = run.answer === answer && run.error?.message === error?.message;
    return same && run.query === query && run.legend === legend;
  });
}
