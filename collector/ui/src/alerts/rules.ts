// Rules as the Alerts page shows them: what needs attention first.
import type { Alert, AlertingRule, AlertState, Rule, RuleGroup } from "../api/types";
import { formatValue } from "../metrics/graph/units";

export type Status = AlertState | "recording";

export interface RuleEntry {
  /** Unique on the page and stable between refreshes. */
  key: string;
  rule: Rule;
  group: RuleGroup;
  status: Status;
}

export const STATUSES: readonly Status[] = ["firing", "pending", "inactive", "recording"];

const SEVERITIES = ["critical", "page", "error", "ticket", "warning", "warn", "info"];

export function entries(groups: RuleGroup[]): RuleEntry[] {
  return groups
    .flatMap((group) =>
      group.rules.map((rule, index) => ({
        key: `${group.file}\n${group.name}\n${rule.name}\n${index}`,
        rule,
        group,
        status: rule.type === "alerting" ? rule.state : ("recording" as const),
      })),
    )
    .sort(compare);
}

function compare(a: RuleEntry, b: RuleEntry): number {
  return (
    STATUSES.indexOf(a.status) - STATUSES.indexOf(b.status) ||
    Number(b.rule.health === "err") - Number(a.rule.health === "err") ||
    severityRank(a.rule) - severityRank(b.rule) ||
    a.rule.name.localeCompare(b.rule.name)
  );
}

function severityRank(rule: Rule): number {
  const rank = SEVERITIES.indexOf(severityOf(rule) ?? "");
  return rank < 0 ? SEVERITIES.length : rank;
}

export function severityOf(rule: Rule): string | undefined {
  return rule.labels?.severity ?? rule.labels?.sloth_severity;
}

/** A rule's alerts: firing before pending, the latest first. */
export function sortedAlerts(rule: AlertingRule): Alert[] {
  return [...(rule.alerts ?? [])].sort(
    (a, b) =>
      STATUSES.indexOf(a.state) - STATUSES.indexOf(b.state) ||
      (b.activeAt ?? "").localeCompare(a.activeAt ?? ""),
  );
}

export interface Filter {
  text: string;
  /** Empty: every status. */
  statuses: readonly Status[];
  /** Only rules whose last evaluation failed. */
  failing: boolean;
}

export function matches(entry: RuleEntry, filter: Filter): boolean {
  if (filter.statuses.length > 0 && !filter.statuses.includes(entry.status)) return false;
  if (filter.failing && entry.rule.health !== "err") return false;
  const wanted = filter.text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (wanted.length === 0) return true;
  const text = searchText(entry).toLowerCase();
  return wanted.every((word) => text.includes(word));
}

function searchText({ rule, group }: RuleEntry): string {
  const pairs = (map: Record<string, string> | undefined) =>
    Object.entries(map ?? {}).map(([name, value]) => `${name}=${value}`);
  const alerts = rule.type === "alerting" ? (rule.alerts ?? []) : [];
  return [
    rule.name,
    group.name,
    group.file,
    rule.query,
    ...pairs(rule.labels),
    ...alerts.flatMap((alert) => [...pairs(alert.labels), ...pairs(alert.annotations)]),
  ].join("\n");
}

/** An alert's value for reading: `1.5e+00` → `1.5`. From a million on it is rounded, and looks it: `185.6M`. */
export function shownValue(value: string): string {
  const number = Number(value);
  if (value.trim() === "" || !Number.isFinite(number)) return value;
  if (Math.abs(number) >= 1e6) return formatValue(number, "none");
  if (Number.isInteger(number)) return String(number);
  return String(Number(number.toPrecision(4)));
}
