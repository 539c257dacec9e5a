// Which metrics, labels and pairs make up the series there are; a metric opens to its labels.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { asApiError, type ApiError } from "../../api/client";
import { cardinality, type HeadStats } from "../../api/prometheus";
import { usePreferences } from "../../app/preferences";
import { dayTime, type Zone } from "../../time/format";
import type { TimeRange } from "../../time/range";
import { Message } from "../../widgets/Message";
import { Tool } from "../../widgets/Tool";
import { useMetadata } from "../browser/MetricBrowser";
import { MetricDetails } from "../browser/MetricDetails";
import { metadataOf } from "../browser/labelStats";
import { formatValue } from "../graph/units";
import s from "./CardinalityView.module.css";
import { countLists, queryFor, shareOf, type CountList } from "./lists";

interface CardinalityViewProps {
  /** The metric that is open; empty for none. */
  metric: string;
  range: TimeRange;
  onOpen: (metric: string) => void;
  onQuery: (expression: string) => void;
}

const ROWS = 50;

export function CardinalityView({ metric, range, onOpen, onQuery }: CardinalityViewProps) {
  const { zone } = usePreferences();
  const { metadata } = useMetadata();
  const { start, end } = range;
  const { data, error, refetch } = useQuery({
    queryKey: ["metrics", "cardinality", start, end],
    queryFn: ({ signal }) => cardinality({ start, end }, ROWS, signal),
    placeholderData: keepPreviousData,
  });
  if (error !== null) return <Failure error={asApiError(error)} onRetry={() => void refetch()} />;
  if (data === undefined) return null;
  const lists = countLists(data);
  return (
    <div className={s.view}>
      <div className={s.lists} tabIndex={0} role="region" aria-label="Cardinality">
        {data.headStats !== undefined && <Head stats={data.headStats} zone={zone} />}
        {lists.length === 0 && <Message title="No series in this time range" />}
        <div className={s.grid}>
          {lists.map((list) => (
            <Counts key={list.key} list={list} stats={data.headStats} chosen={metric} onOpen={onOpen} onQuery={onQuery} />
          ))}
        </div>
      </div>
      {metric !== "" && (
        <aside className={s.metric} aria-label="Metric" tabIndex={0}>
          <span className={s.close}>
            <Tool icon="close" name="Close the metric" title="Close (Esc)" onClick={() => onOpen("")} />
          </span>
          <MetricDetails key={metric} metric={metric} metadata={metadataOf(metadata, metric)} times={range} onQuery={onQuery} />
        </aside>
      )}
    </div>
  );
}

function Head({ stats, zone }: { stats: HeadStats; zone: Zone }) {
  const { numSeries, numNewSeries, numLabelPairs, chunkCount, minTime, maxTime } = stats;
  const count = (value: number | undefined) => value?.toLocaleString("en");
  // Without samples it is 0 or, from Prometheus, an end of time.
  const time = (ms = 0) => (ms > 0 && ms < 8.64e15 ? dayTime(ms, zone) : undefined);
  const facts = [
    ["series", count(numSeries)],
    ["of them new", count(numNewSeries)],
    ["label pairs", count(numLabelPairs)],
    ["chunks", count(chunkCount)],
    ["oldest sample", time(minTime)],
    ["newest sample", time(maxTime)],
  ].filter(([, value]) => value !== undefined);
  return (
    <dl className={s.facts}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const FEW = 10;

interface CountsProps {
  list: CountList;
  stats: HeadStats | undefined;
  chosen: string;
  onOpen: (metric: string) => void;
  onQuery: (expression: string) => void;
}

function Counts({ list, stats, chosen, onOpen, onQuery }: CountsProps) {
  const { title, rows, unit, of } = list;
  const [all, setAll] = useState(false);
  const most = rows[0]?.value ?? 1;
  return (
    <section className={s.counts} aria-label={title}>
      <h2>{title}</h2>
      {(all ? rows : rows.slice(0, FEW)).map(({ name, value }) => (
        <div key={name} className={s.row} data-chosen={of === "metric" && name === chosen}>
          <button
            type="button"
            className="quiet"
            title={of === "metric" ? "Show its labels" : queryFor(list, name)}
            onClick={() => (of === "metric" ? onOpen(name) : onQuery(queryFor(list, name)))}
          >
            <i style={{ width: `${(value / most) * 100}%` }} />
            <span>{name}</span>
            <small>{shareOf(list, value, stats)}</small>
            <b>{unit === "bytes" ? formatValue(value, "bytes") : value.toLocaleString("en")}</b>
          </button>
          <Tool icon="values" name={`Graph ${name}`} title={queryFor(list, name)} onClick={() => onQuery(queryFor(list, name))} />
        </div>
      ))}
      {rows.length > FEW && (
        <button type="button" className="quiet" onClick={() => setAll(!all)}>
          {all ? "Fewer" : `Show ${rows.length - FEW} more`}
        </button>
      )}
    </section>
  );
}

function Failure({ error, onRetry }: { error: ApiError; onRetry: () => void }) {
  if (error.status === 404) {
    return (
      <Message title="This server does not count its series">
        <p>
          It answers <code>/api/v1/status/tsdb</code> with 404: it is older than this page. Browse shows the labels of each metric.
        </p>
      </Message>
    );
  }
  return (
    <Message title="The counts could not be read" kind="error">
      <p>{error.message}</p>
      <button type="button" onClick={onRetry}>
        Try again
      </button>
    </Message>
  );
}
