// Ordering, filtering and linking of rules and alerts.
import { expect, test } from "vitest";
import type { Alert, AlertingRule, RuleGroup } from "../api/types";
import { logsLink, logsQuery } from "./logsLink";
import { entries, matches, shownValue, sortedAlerts } from "./rules";
import { alertsUrl, readFilter } from "./state";

const alert: Alert = {
  labels: { alertname: "HighErrors", service: "task api" },
  annotations: {},
  state: "firing",
  activeAt: "2026-03-04T05:00:00.5Z",
  value: "1.5e+00",
};
const rule: AlertingRule = {
  type: "alerting",
  name: "HighErrors",
  query: "rate(errors[10m]) > 1",
  health: "ok",
  state: "firing",
  duration: 15,
  alerts: [alert],
};
const group: RuleGroup = {
  name: "g",
  file: "rules.yml",
  interval: 15,
  rules: [
    { type: "recording", name: "job:x", query: "x", health: "ok" },
    { ...rule, name: "Quiet", state: "inactive", alerts: [] },
    { ...rule, name: "Broken", state: "inactive", health: "err", lastError: "no", alerts: [] },
    { ...rule, name: "Soon", state: "pending" },
    { ...rule, name: "Ticket", labels: { severity: "ticket" } },
    { ...rule, name: "Page", labels: { severity: "page" } },
  ],
};

test("firing before pending before inactive, failing and severe rules first", () => {
  expect(entries([group]).map((entry) => entry.rule.name)).toEqual([
    "Page",
    "Ticket",
    "Soon",
    "Broken",
    "Quiet",
    "job:x",
  ]);
});

test("a filter's words must all occur, in names, labels or annotations", () => {
  const all = entries([group]);
  const names = (search: string) =>
    all.filter((entry) => matches(entry, readFilter(search))).map((entry) => entry.rule.name);
  expect(names("?q=severity%3Dpage+rules.yml")).toEqual(["Page"]);
  expect(names("?state=pending,recording")).toEqual(["Soon", "job:x"]);
  expect(names("?failing=1")).toEqual(["Broken"]);
  expect(names("?q=nothing")).toEqual([]);
});

test("the filter survives the way through the URL", () => {
  const filter = { text: "a&b", statuses: ["firing", "recording"] as const, failing: true };
  expect(readFilter(new URL(alertsUrl(filter), "http://x").search)).toEqual(filter);
});

test("alerts: firing first, then the latest", () => {
  const alerts = [
    { ...alert, state: "pending" as const, activeAt: "2026-03-04T09:00:00Z" },
    { ...alert, activeAt: "2026-03-04T06:00:00Z" },
    { ...alert, activeAt: "2026-03-04T07:00:00Z" },
  ];
  expect(sortedAlerts({ ...rule, alerts }).map((a) => a.activeAt?.slice(11, 13))).toEqual(["07", "06", "09"]);
});

test("the logs of an alert: written query, else errors of its service", () => {
  expect(logsQuery(rule, alert)).toBe('service:"task api" AND severity:>=error');
  expect(logsQuery(rule, { ...alert, labels: {} })).toBe("severity:>=error");
  expect(logsQuery(rule, { ...alert, labels: { job: "shop/task-api" } })).toBe("service:task-api AND severity:>=error");
  expect(logsQuery(rule, { ...alert, labels: { sloth_service: "checkout", job: "api" } })).toBe("service:checkout AND severity:>=error");
  const annotations = { logs_query: "status:>=500" };
  expect(logsQuery(rule, { ...alert, annotations })).toBe("status:>=500");
});

test("the link's times are absolute and begin one window before the alert", () => {
  const url = new URL(logsLink(rule, alert, Date.parse("2026-03-04T05:30:00Z")), "http://x");
  expect(url.searchParams.get("from")).toBe("2026-03-04T04:50:00.000Z");
  expect(url.searchParams.get("to")).toBe("2026-03-04T05:30:00.000Z");
});

test.each([
  ["1e+00", "1"],
  ["1.5e+00", "1.5"],
  ["1.23456789e-05", "0.00001235"],
  ["123456", "123456"],
  ["1.85634816e+08", "185.6M"],
  ["-2500000", "−2.5M"],
  ["+Inf", "+Inf"],
  ["NaN", "NaN"],
])("value %s reads %s", (value, expected) => {
  expect(shownValue(value)).toBe(expected);
});
