// The traces that were looked at last, kept in this browser.
import { stored } from "../app/stored";

export interface RecentTrace {
  id: string;
  name: string;
  service: string;
  /** Unix ms. */
  start: number;
  /** ns. */
  duration: number;
  errors: number;
}

const MOST = 20;

const recent = stored<readonly RecentTrace[]>("watchkeeper.traces", (value) =>
  Array.isArray(value) ? value.filter(isTrace).slice(0, MOST) : [],
);

export const useRecentTraces = recent.use;

export function rememberTrace(trace: RecentTrace): void {
  recent.set([trace, ...recent.get().filter(({ id }) => id !== trace.id)].slice(0, MOST));
}

function isTrace(value: unknown): value is RecentTrace {
  const { id, name, service, start, duration, errors } = (value ?? {}) as Record<string, unknown>;
  return [id, name, service].every((text) => typeof text === "string") && [start, duration, errors].every(Number.isFinite);
}
