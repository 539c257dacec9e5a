// The Alerts page's state, in the URL.
import { STATUSES, type Filter, type Status } from "./rules";

export function readFilter(search: string): Filter {
  const params = new URLSearchParams(search);
  const wanted = (params.get("state") ?? "").split(",");
  return {
    text: params.get("q") ?? "",
    statuses: STATUSES.filter((status) => wanted.includes(status)),
    failing: params.get("failing") === "1",
  };
}

export function alertsUrl(filter: Filter): string {
  const params = new URLSearchParams();
  if (filter.text !== "") params.set("q", filter.text);
  if (filter.statuses.length > 0) params.set("state", filter.statuses.join(","));
  if (filter.failing) params.set("failing", "1");
  const search = params.toString();
  return search === "" ? "/ui/alerts" : `/ui/alerts?${search}`;
}

export function toggled(statuses: readonly Status[], status: Status): Status[] {
  return statuses.includes(status)
    ? statuses.filter((other) => other !== status)
    : [...statuses, status];
}
