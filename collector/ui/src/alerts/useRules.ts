// The rules with their alerts, asked for again every few seconds.
import { useQuery } from "@tanstack/react-query";
import { listRuleGroups } from "../api/rules";

const EVERY_MS = 5000;

export function useRules() {
  return useQuery({
    queryKey: ["rules"],
    queryFn: ({ signal }) => listRuleGroups(signal),
    refetchInterval: EVERY_MS,
    staleTime: EVERY_MS,
  });
}

/** How many alerts fire. */
export function useFiring(): number {
  const { data } = useRules();
  return (data ?? [])
    .flatMap((group) => group.rules)
    .flatMap((rule) => (rule.type === "alerting" ? (rule.alerts ?? []) : []))
    .filter((alert) => alert.state === "firing").length;
}
