// All metrics there are, to search and to begin a query with.
import { useQuery } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { asApiError } from "../../api/client";
import { labelValues, metricMetadata, type Metadata, type Times } from "../../api/prometheus";
import { MOST_NAMES, wholeMinutes } from "../editor/vocabulary";
import { matchingNames, metadataOf } from "./labelStats";
import s from "./MetricBrowser.module.css";
import { MetricDetails } from "./MetricDetails";

interface MetricBrowserProps {
  times: Times;
  onQuery: (expression: string) => void;
  onClose: () => void;
}

const ROW = 24;

export function MetricBrowser({ times, onQuery, onClose }: MetricBrowserProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [metric, setMetric] = useState<string>();
  const { names, metadata, error } = useMetrics(times);
  const found = useMemo(
    () => matchingNames(names ?? [], text, (name) => metadataOf(metadata, name)?.help ?? ""),
    [names, metadata, text],
  );
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      className={s.browser}
      aria-labelledby="metric-browser-title"
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current) dialog.current.close();
      }}
    >
      <div className={s.body}>
        <header className={s.header}>
          <h2 id="metric-browser-title">Metrics</h2>
          <input
            type="search"
            aria-label="Search metrics"
            placeholder="Name or description"
            value={text}
            spellCheck={false}
            autoFocus
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && found[0] !== undefined) setMetric(found[0]);
            }}
          />
          <span role="status">{names !== undefined && told(found.length, names.length)}</span>
          <button type="button" onClick={() => dialog.current?.close()}>
            Close
          </button>
        </header>
        <div className={s.names}>
          {error !== null && <p role="alert">The metrics could not be listed: {asApiError(error).message}.</p>}
          {names?.length === 0 && <p>No metric has been written in this time range.</p>}
          <Names names={found} metadata={metadata} chosen={metric} onChoose={setMetric} />
        </div>
        <div className={s.details} tabIndex={0} role="region" aria-label="Chosen metric">
          {metric === undefined ? (
            <p className={s.hint}>Choose a metric to see its labels. Values narrow the queries offered for it.</p>
          ) : (
            <MetricDetails
              key={metric}
              metric={metric}
              metadata={metadataOf(metadata, metric)}
              times={times}
              onQuery={(expression) => {
                dialog.current?.close();
                onQuery(expression);
              }}
            />
          )}
        </div>
      </div>
    </dialog>
  );
}

function told(found: number, all: number): string {
  const many = all >= MOST_NAMES ? `the first ${MOST_NAMES.toLocaleString("en")}` : all.toLocaleString("en");
  return found === all ? `${many} metrics` : `${found.toLocaleString("en")} of ${many}`;
}

/** The metrics written during these times, and what is known of each family. */
export function useMetrics(times: Times) {
  const { start, end } = wholeMinutes(times);
  const names = useQuery({
    queryKey: ["metrics", "vocabulary", "names", { start, end }],
    queryFn: ({ signal }) => labelValues("__name__", "", { start, end }, MOST_NAMES, signal),
  });
  const { metadata } = useMetadata();
  return { names: names.data, metadata, error: names.error };
}

const NO_METADATA: Record<string, Metadata[]> = {};

export function useMetadata() {
  const { data } = useQuery({
    queryKey: ["metrics", "metadata"],
    queryFn: ({ signal }) => metricMetadata(signal),
    staleTime: 60_000,
  });
  return { metadata: data ?? NO_METADATA };
}

interface NamesProps {
  names: readonly string[];
  metadata: Readonly<Record<string, Metadata[]>>;
  chosen: string | undefined;
  onChoose: (name: string) => void;
}

function Names({ names, metadata, chosen, onChoose }: NamesProps) {
  const scroll = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: names.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW,
    overscan: 20,
  });
  return (
    <div ref={scroll} className={s.scroll} tabIndex={0} role="region" aria-label="Names">
      <ul style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map(({ index, start }) => {
          const name = names[index] ?? "";
          const known = metadataOf(metadata, name);
          return (
            <li key={name} style={{ translate: `0 ${start}px` }}>
              <button type="button" className="quiet" aria-pressed={name === chosen} title={known?.help ?? name} onClick={() => onChoose(name)}>
                <span>{name}</span>
                <small>{known?.type}</small>
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
