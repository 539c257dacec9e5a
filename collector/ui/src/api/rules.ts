// The rules endpoint, in Prometheus' form.
import { get } from "./client";
import type { RuleGroup } from "./types";

interface RulesAnswer {
  status: "success";
  data: { groups: RuleGroup[] | null };
}

export async function listRuleGroups(signal: AbortSignal): Promise<RuleGroup[]> {
  const answer = await get<RulesAnswer>("/api/v1/rules", signal);
  return answer.data.groups ?? [];
}
