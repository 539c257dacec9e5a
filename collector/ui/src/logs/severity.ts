// The levels of log records, by OTLP's ranges of four, most severe first.

export const LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "unset"] as const;

export type Level = (typeof LEVELS)[number];

export function levelOf(severityNumber: number): Level {
  if (severityNumber >= 21 && severityNumber <= 24) return "fatal";
  if (severityNumber >= 17 && severityNumber <= 20) return "error";
  if (severityNumber >= 13 && severityNumber <= 16) return "warn";
  if (severityNumber >= 9 && severityNumber <= 12) return "info";
  if (severityNumber >= 5 && severityNumber <= 8) return "debug";
  if (severityNumber >= 1 && severityNumber <= 4) return "trace";
  return "unset";
}

export function levelNamed(name: string): Level {
  const lower = name.toLowerCase();
  return LEVELS.find((level) => level === lower) ?? "unset";
}
