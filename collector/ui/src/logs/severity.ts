// The levels of log records, by OTLP's ranges of four, most severe first.
import type { LogRecord } from "../api/types";

export const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "unset"] as const;

export type Level = (typeof LEVELS)[number];

/** The level that the server counts a record as: what its text states where it has no number. */
export function levelOf(record: LogRecord): Level {
  return levelNamed(record.detected_level);
}

/** A level by our name or by Loki's: `critical` for fatal, `unknown` for unset. */
export function levelNamed(name: string): Level {
  const lower = name.toLowerCase();
  if (lower === "critical") return "fatal";
  return LEVELS.find((level) => level === lower) ?? "unset";
}
