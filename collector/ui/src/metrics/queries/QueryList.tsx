// The page's queries, one below the other, each with its legend, its errors and remarks.
import { useImperativeHandle, useRef, type Ref } from "react";
import type { PrometheusClient } from "@prometheus-io/codemirror-promql/dist/esm/client/prometheus";
import type { ApiError } from "../../api/client";
import { PromEditor, type PromEditorHandle } from "../editor/PromEditor";
import { queryProblem } from "../editor/place";
import bar from "../../query/QueryBar.module.css";
import { Tool } from "../../widgets/Tool";
import { Notices } from "../Notices";
import { MOST_QUERIES, NO_QUERY, queryName, type QueryText } from "../state";
import type { Run } from "../useRuns";
import s from "./QueryList.module.css";

export interface QueryListHandle {
  /** The queries as they stand written, run or not. */
  written: () => QueryText[];
  focus: () => void;
}

interface QueryListProps {
  /** Those that were run last. */
  queries: readonly QueryText[];
  runs: readonly Run[];
  vocabulary: PrometheusClient;
  onRun: (queries: QueryText[]) => void;
  /** Another text for a query that is written, laid out; undefined leaves it. */
  format: (expression: string) => Promise<string | undefined>;
  ref: Ref<QueryListHandle>;
}

export function QueryList({ queries, runs, vocabulary, onRun, format, ref }: QueryListProps) {
  const editors = useRef(new Map<number, PromEditorHandle>());
  const written = () =>
    queries.map((query, at) => ({ ...query, expression: (editors.current.get(at)?.text() ?? query.expression).trim() }));
  const run = (changed: QueryText[]) => {
    changed.forEach(({ expression }, at) => editors.current.get(at)?.write(expression));
    onRun(changed.length === 0 ? [NO_QUERY] : changed);
  };
  const change = (at: number, by: Partial<QueryText>) => run(written().map((query, place) => (place === at ? { ...query, ...by } : query)));
  useImperativeHandle(ref, () => ({ written, focus: () => editors.current.get(0)?.focus() }));

  return (
    <ol className={s.queries}>
      {queries.map((query, at) => (
        <QueryRow
          key={at}
          name={queryName(at)}
          query={query}
          run={runs.find((one) => one.query === at)}
          alone={queries.length === 1}
          full={queries.length >= MOST_QUERIES}
          vocabulary={vocabulary}
          editor={(handle) => {
            if (handle === null) editors.current.delete(at);
            else editors.current.set(at, handle);
          }}
          onRun={() => run(written())}
          onChange={(by) => change(at, by)}
          onFormat={() => {
            void format(written()[at]?.expression ?? "").then((text) => {
              if (text !== undefined) editors.current.get(at)?.write(text);
            });
          }}
          onDuplicate={() => run(written().flatMap((one, place) => (place === at ? [one, { ...one }] : [one])))}
          onRemove={() => run(written().filter((_, place) => place !== at))}
        />
      ))}
    </ol>
  );
}

interface QueryRowProps {
  name: string;
  query: QueryText;
  run: Run | undefined;
  /** Whether it is the only one. */
  alone: boolean;
  /** Whether there is no room for more. */
  full: boolean;
  vocabulary: PrometheusClient;
  editor: (handle: PromEditorHandle | null) => void;
  onRun: () => void;
  onChange: (by: Partial<QueryText>) => void;
  onFormat: () => void;
  onDuplicate: () => void;
  onRemove: () => void;
}

function QueryRow(props: QueryRowProps) {
  const { name, query, run, alone, full, vocabulary, editor, onChange } = props;
  const problem = run?.error && queryProblem(run.error, query.expression);
  return (
    <li className={s.query} data-on={query.on}>
      <div className={s.row}>
        <button
          type="button"
          className={`quiet ${s.name}`}
          aria-pressed={query.on}
          aria-label={`Run query ${name}`}
          title={query.on ? "Leave this query out" : "Run this query again"}
          onClick={() => onChange({ on: !query.on })}
        >
          {name}
        </button>
        <PromEditor
          ref={editor}
          name={name}
          expression={query.expression}
          invalid={problem !== undefined}
          error={problem?.span}
          vocabulary={vocabulary}
          onRun={props.onRun}
        />
        <input
          key={query.legend}
          className={s.legend}
          aria-label={`Legend of query ${name}`}
          placeholder="Legend: {{label}}"
          defaultValue={query.legend}
          spellCheck={false}
          onKeyDown={(event) => {
            if (event.key === "Enter") event.currentTarget.blur();
          }}
          onBlur={(event) => {
            if (event.target.value !== query.legend) onChange({ legend: event.target.value });
          }}
        />
        <Tool icon="format" name={`Format query ${name}`} title="Lay the query out" onClick={props.onFormat} />
        <Tool icon="copy" name={`Duplicate query ${name}`} title="Duplicate" disabled={full} onClick={props.onDuplicate} />
        <Tool icon="close" name={`Remove query ${name}`} title="Remove" disabled={alone && query.expression === ""} onClick={props.onRemove} />
      </div>
      <div id={`query-${name}-notes`} className={s.notes}>
        <div role="alert">{run?.error !== undefined && problem !== undefined && <Problem error={run.error} message={problem.message} column={problem.span?.from} />}</div>
        <Notices items={run?.answer?.warnings ?? []} kind="warning" />
        <Notices items={run?.answer?.infos ?? []} />
      </div>
    </li>
  );
}

function Problem({ error, message, column }: { error: ApiError; message: string; column: number | undefined }) {
  return (
    <p className={bar.error}>
      <strong>{message}</strong>
      {error.hint !== undefined && <span className={bar.hint}>{error.hint}</span>}
      {column !== undefined && <span className={bar.column}>at character {column + 1}</span>}
    </p>
  );
}
