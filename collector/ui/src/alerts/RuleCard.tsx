// One rule: a line that says how it is; opened, its expression and its alerts.
import { useState } from "react";
import type { Alert, AlertingRule, Rule } from "../api/types";
import { Link } from "../app/Link";
import { usePreferences } from "../app/preferences";
import { expressionUrl } from "../metrics/state";
import { formatDuration } from "../time/duration";
import { dayTime } from "../time/format";
import { serverTime } from "../time/range";
import { Icon } from "../widgets/Icon";
import { logsLink } from "./logsLink";
import s from "./RuleCard.module.css";
import { severityOf, shownValue, sortedAlerts, type RuleEntry } from "./rules";

const SHOWN_APART = ["summary", "description", "logs_query"];

export function RuleCard({ entry, at }: { entry: RuleEntry; at: number }) {
  const { rule, group, status } = entry;
  const [toggledTo, setToggledTo] = useState<boolean>();
  const open = toggledTo ?? (status === "firing" || status === "pending");
  const severity = severityOf(rule);
  const alerts = rule.type === "alerting" ? sortedAlerts(rule) : [];
  return (
    <article className={s.rule} data-status={status} data-health={rule.health} aria-label={rule.name}>
      <button type="button" className={s.line} aria-expanded={open} onClick={() => setToggledTo(!open)}>
        <Icon name={open ? "down" : "right"} />
        <span className={s.name}>{rule.name}</span>
        {severity !== undefined && <span className={s.severity}>{severity}</span>}
        {rule.health === "err" && <span className={s.failing}>failing to evaluate</span>}
        <span className={s.facts}>{facts(rule, alerts, at)}</span>
        <span className={s.group} title={group.file}>
          {group.name}
        </span>
      </button>
      {rule.health === "err" && rule.lastError && (
        <p className={s.error}>
          <b>Last evaluation failed:</b> {rule.lastError}
        </p>
      )}
      {open && (
        <div className={s.body}>
          {alerts.map((alert) => (
            <AlertBlock key={JSON.stringify(alert.labels)} rule={rule} alert={alert} at={at} />
          ))}
          <pre className={s.expression} tabIndex={0} aria-label="Expression">
            {rule.query}
          </pre>
          <p className={s.source}>
            <Link href={expressionUrl(rule.query)}>Show as a graph</Link> · {group.file} · group {group.name} · every {formatDuration(group.interval * 1000)}
            {rule.lastEvaluation !== undefined && ` · evaluated ${ago(rule.lastEvaluation, at)}`}
          </p>
        </div>
      )}
    </article>
  );
}

function facts(rule: Rule, alerts: Alert[], at: number): string {
  if (rule.type === "recording") return rule.query;
  const firing = alerts.filter((alert) => alert.state === "firing").length;
  const pending = alerts.length - firing;
  const parts: string[] = [];
  if (firing > 0) parts.push(`${firing} firing`);
  if (pending > 0) parts.push(`${pending} pending`);
  const since = alerts.map((alert) => alert.activeAt).filter((time) => typeof time === "string").sort()[0];
  if (since !== undefined) parts.push(`for ${formatDuration(at - serverTime(since))}`);
  if (parts.length === 0) return rule.query;
  return parts.join(" · ");
}

function AlertBlock({ rule, alert, at }: { rule: Rule; alert: Alert; at: number }) {
  const { zone } = usePreferences();
  const active = alert.activeAt ? serverTime(alert.activeAt) : Number.NaN;
  const labels = Object.entries(alert.labels).filter(([name]) => name !== "alertname");
  const { summary, description } = alert.annotations;
  const others = Object.entries(alert.annotations).filter(([name]) => !SHOWN_APART.includes(name));
  return (
    <section className={s.alert} data-status={alert.state} aria-label={`${alert.state} alert`}>
      <div className={s.head}>
        <span className={s.state}>{alert.state}</span>
        <span>
          value <b>{shownValue(alert.value)}</b>
        </span>
        {Number.isFinite(active) && (
          <span>
            active since <b>{dayTime(active, zone)}</b> ({formatDuration(at - active)})
          </span>
        )}
        {alert.state === "pending" && rule.type === "alerting" && Number.isFinite(active) && (
          <span>{untilFiring(rule, active, at)}</span>
        )}
        {alert.keepFiringSince && <span>kept firing although the condition ended</span>}
        <Link className={s.logs} href={logsLink(rule, alert, at)}>
          Show logs
        </Link>
      </div>
      {summary !== undefined && <p className={s.summary}>{summary}</p>}
      {description !== undefined && <p className={s.description}>{description}</p>}
      <ul className={s.labels} aria-label="Labels">
        {labels.map(([name, value]) => (
          <li key={name}>
            <span>{name}=</span>
            {value}
          </li>
        ))}
      </ul>
      {others.length > 0 && (
        <dl className={s.annotations}>
          {others.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{/^https?:\/\//.test(value) ? <a href={value}>{value}</a> : value}</dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}

function untilFiring(rule: AlertingRule, active: number, at: number): string {
  const left = active + rule.duration * 1000 - at;
  return left > 0 ? `fires in ${formatDuration(left)} if it lasts` : "fires at the next evaluation";
}

function ago(time: string, at: number): string {
  const age = at - serverTime(time);
  // Prometheus gives year 1 for "never".
  if (!Number.isFinite(age) || age > 1e12) return "never";
  return age < 1000 ? "just now" : `${formatDuration(age)} ago`;
}
