// One metric: what it is, its labels with their values, and queries to begin with.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { asApiError } from "../../api/client";
import { listSeries, type Metadata, type Times } from "../../api/prometheus";
import { selector, suggestions, type Matcher } from "../editor/selector";
import { wholeMinutes } from "../editor/vocabulary";
import { labelStats, type LabelStats } from "./labelStats";
import s from "./MetricDetails.module.css";

interface MetricDetailsProps {
  metric: string;
  metadata: Metadata | undefined;
  times: Times;
  /** Runs an expression as another query. */
  onQuery: (expression: string) => void;
}

/** Series that are looked at for counts. */
const MOST_SERIES = 20_000;
const FEW_VALUES = 8;
const MOST_VALUES = 500;

export function MetricDetails({ metric, metadata, times, onQuery }: MetricDetailsProps) {
  const [matchers, setMatchers] = useState<readonly Matcher[]>([]);
  const match = selector(metric, matchers);
  const { start, end } = wholeMinutes(times);
  const { data, error } = useQuery({
    queryKey: ["metrics", "series", match, start, end],
    queryFn: ({ signal }) => listSeries(match, { start, end }, MOST_SERIES, signal),
    placeholderData: keepPreviousData,
  });
  const series = data?.data;
  const labels = useMemo(() => labelStats(series ?? []), [series]);
  const toggle = (matcher: Matcher) => {
    const others = matchers.filter(({ label }) => label !== matcher.label);
    const had = matchers.some(({ label, value }) => label === matcher.label && value === matcher.value);
    setMatchers(had ? others : [...others, matcher]);
  };
  return (
    <section className={s.details} aria-label={`Metric ${metric}`}>
      <h3>{metric}</h3>
      <p className={s.meta}>
        {metadata === undefined ? "no metadata" : [metadata.type, metadata.unit].filter((part) => part !== "").join(" · ")}
      </p>
      {metadata !== undefined && metadata.help !== "" && <p className={s.help}>{metadata.help}</p>}
      <div className={s.queries}>
        {suggestions(metric, metadata?.type ?? "", matchers).map(({ name, expression }) => (
          <button key={name} type="button" title={expression} onClick={() => onQuery(expression)}>
            {name}
          </button>
        ))}
        <button type="button" title={match} onClick={() => onQuery(match)}>
          Selector
        </button>
      </div>
      {error !== null && <p role="alert">Its series could not be read: {asApiError(error).message}.</p>}
      {series !== undefined && (
        <p className={s.count} data-testid="series-count">
          <b>{series.length.toLocaleString("en")}</b> series{(data?.warnings ?? []).length > 0 && " and more: counts are of these"}
          {matchers.length > 0 && (
            <>
              {" "}
              with <code>{match.slice(metric.length)}</code>{" "}
              <button type="button" className="quiet" onClick={() => setMatchers([])}>
                All series
              </button>
            </>
          )}
        </p>
      )}
      {labels.map((one) => (
        <Label key={one.label} stats={one} chosen={matchers.find(({ label }) => label === one.label)?.value} onChoose={(value) => toggle({ label: one.label, value })} />
      ))}
    </section>
  );
}

interface LabelProps {
  stats: LabelStats;
  chosen: string | undefined;
  onChoose: (value: string) => void;
}

function Label({ stats: { label, values, without }, chosen, onChoose }: LabelProps) {
  const [all, setAll] = useState(false);
  const shown = values.slice(0, all ? MOST_VALUES : FEW_VALUES);
  const most = values[0]?.series ?? 1;
  return (
    <div className={s.label} role="group" aria-label={`Label ${label}`}>
      <h4>
        {label} <span>{values.length.toLocaleString("en")}</span>
        {without > 0 && <small>{without.toLocaleString("en")} series without it</small>}
      </h4>
      {shown.map(({ value, series }) => (
        <button key={value} type="button" className={`quiet ${s.value}`} aria-pressed={value === chosen} title={`Only ${label}="${value}"`} onClick={() => onChoose(value)}>
          <i style={{ width: `${(series / most) * 100}%` }} />
          <span>{value === "" ? '""' : value}</span>
          <b>{series.toLocaleString("en")}</b>
        </button>
      ))}
      {values.length > shown.length && (
        <button type="button" className="quiet" onClick={() => setAll(true)} disabled={all}>
          {all ? `${(values.length - shown.length).toLocaleString("en")} more` : `Show all ${values.length.toLocaleString("en")}`}
        </button>
      )}
    </div>
  );
}
