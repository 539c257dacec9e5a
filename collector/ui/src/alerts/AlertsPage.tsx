// The Alerts page: every rule with its alerts, what fires first.
import { asApiError } from "../api/client";
import { navigate, useLocation } from "../app/location";
import { usePreferences } from "../app/preferences";
import { useShortcuts } from "../app/shortcuts";
import { dayTime } from "../time/format";
import { Message } from "../widgets/Message";
import s from "./AlertsPage.module.css";
import { NoRules } from "./NoRules";
import { RuleCard } from "./RuleCard";
import { entries, matches, STATUSES, type Filter, type RuleEntry, type Status } from "./rules";
import { alertsUrl, readFilter, toggled } from "./state";
import { useRules } from "./useRules";

const TITLES: Record<Status, string> = {
  firing: "Firing",
  pending: "Pending",
  inactive: "Inactive",
  recording: "Recording rules",
};

export function AlertsPage() {
  const { search } = useLocation();
  const { zone } = usePreferences();
  const rules = useRules();
  const filter = readFilter(search);
  const change = (by: Partial<Filter>, replace = false) =>
    navigate(alertsUrl({ ...filter, ...by }), { replace });
  useShortcuts({
    r: () => void rules.refetch(),
    "/": () => document.querySelector<HTMLInputElement>("#rule-filter")?.focus(),
  });

  const all = entries(rules.data ?? []);
  const shown = all.filter((entry) => matches(entry, filter));
  const failing = all.filter((entry) => entry.rule.health === "err").length;
  const error = rules.error === null ? undefined : asApiError(rules.error);
  if (rules.data === undefined) {
    return (
      <main className="page">
        <h1 className="hidden">Alerts</h1>
        {error !== undefined && (
          <Message title="The rules could not be read" kind="error">
            <p>{error.message}</p>
            <button type="button" onClick={() => void rules.refetch()}>
              Try again
            </button>
          </Message>
        )}
      </main>
    );
  }
  return (
    <main className="page">
      <h1 className="hidden">Alerts</h1>
      {error !== undefined && (
        <p className={s.outdated} role="alert">
          <b>Out of date.</b> {error.message}. Shown is what was so at {dayTime(rules.dataUpdatedAt, zone)}.
        </p>
      )}
      {all.length === 0 ? (
        <NoRules />
      ) : (
        <>
          <div className={s.filters}>
            {STATUSES.map((status) => (
              <button
                key={status}
                type="button"
                className={s.chip}
                data-status={status}
                aria-pressed={filter.statuses.includes(status)}
                onClick={() => change({ statuses: toggled(filter.statuses, status) })}
              >
                <b>{all.filter((entry) => entry.status === status).length}</b>{" "}
                {status}
              </button>
            ))}
            <button
              type="button"
              className={s.chip}
              data-status={failing > 0 ? "failing" : "none"}
              aria-pressed={filter.failing}
              onClick={() => change({ failing: !filter.failing })}
            >
              <b>{failing}</b> failing to evaluate
            </button>
            <input
              id="rule-filter"
              type="search"
              className={s.text}
              placeholder="Filter by name, label, annotation, expression"
              aria-label="Filter rules"
              value={filter.text}
              onChange={(event) => change({ text: event.target.value }, true)}
            />
            <span className={s.updated}>as of {dayTime(rules.dataUpdatedAt, zone).slice(11)}</span>
          </div>
          {shown.length === 0 && (
            <Message title="No rule matches the filter">
              <button type="button" onClick={() => navigate("/ui/alerts")}>
                Show all rules
              </button>
            </Message>
          )}
          {STATUSES.map((status) => (
            <Section
              key={status}
              status={status}
              entries={shown.filter((entry) => entry.status === status)}
              at={rules.dataUpdatedAt}
            />
          ))}
        </>
      )}
    </main>
  );
}

function Section({ status, entries: listed, at }: { status: Status; entries: RuleEntry[]; at: number }) {
  if (listed.length === 0) return null;
  return (
    <section className={s.section} aria-label={TITLES[status]}>
      <h2 data-status={status}>
        {TITLES[status]} <span>{listed.length}</span>
      </h2>
      {listed.map((entry) => (
        <RuleCard key={entry.key} entry={entry} at={at} />
      ))}
    </section>
  );
}
