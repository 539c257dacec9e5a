// The search field: one line of CodeMirror. Fields and values are offered while one
// writes; Enter runs; an error of the server is underlined where it lies and explained below.
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { useEffect, useEffectEvent, useImperativeHandle, useRef, type Ref } from "react";
import type { ApiError } from "../api/client";
import { TYPED } from "../app/recent";
import { completion, type Vocabulary } from "./autocomplete";
import { searches } from "./history";
import { colours, errorMark, showError } from "./language";
import { utf16Span } from "./position";
import s from "./QueryBar.module.css";

export interface QueryBarHandle {
  focus: () => void;
  /** The text as it stands, run or not. */
  text: () => string;
}

interface QueryBarProps {
  /** The query that was run last. */
  query: string;
  error: ApiError | undefined;
  /** What can be offered while one writes. */
  vocabulary: Vocabulary;
  onRun: (query: string) => void;
  ref: Ref<QueryBarHandle>;
}

const EXAMPLE = 'Search: words, "phrases", service:api, severity:>=warn, status:[500 TO 599], /regex/, NOT ( )';

const oneLine = EditorState.transactionFilter.of((transaction) => {
  if (!transaction.docChanged || transaction.newDoc.lines === 1) return transaction;
  // A pasted text of several lines becomes one.
  const text = transaction.newDoc.toString().replace(/\s*\n\s*/g, " ");
  const insert = { from: 0, to: transaction.startState.doc.length, insert: text };
  return { changes: insert, selection: { anchor: text.length } };
});

export function QueryBar({ query, error, vocabulary, onRun, ref }: QueryBarProps) {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<EditorView>(undefined);
  const recalled = useRef(TYPED);
  const run = useEffectEvent(() => {
    const text = editor.current?.state.doc.toString().trim() ?? "";
    recalled.current = TYPED;
    searches.remember(text);
    onRun(text);
  });
  const offer = useEffectEvent(() => vocabulary);
  const step = useEffectEvent((by: 1 | -1) => {
    const view = editor.current;
    const found = view && searches.recall(recalled.current, view.state.doc.toString(), by);
    if (found === undefined) return true;
    recalled.current = found.state;
    write(view, found.text);
    return true;
  });

  useEffect(() => {
    if (host.current === null) return undefined;
    const view = new EditorView({
      parent: host.current,
      extensions: [
        keymap.of([
          { key: "Enter", run: () => (run(), true) },
          { key: "Mod-Enter", run: () => (run(), true) },
          { key: "Escape", run: (target) => (target.contentDOM.blur(), true) },
          { key: "Ctrl-ArrowUp", run: () => step(1) },
          { key: "Ctrl-ArrowDown", run: () => step(-1) },
        ]),
        completion(() => offer()),
        history(),
        keymap.of([...historyKeymap, ...defaultKeymap]),
        oneLine,
        colours,
        errorMark,
        placeholder(EXAMPLE),
        EditorView.contentAttributes.of({
          "aria-label": "Search",
          "aria-describedby": "query-error",
          "aria-multiline": "false",
          spellcheck: "false",
          autocapitalize: "off",
        }),
      ],
    });
    editor.current = view;
    return () => view.destroy();
  }, []);

  useEffect(() => {
    const view = editor.current;
    if (view === undefined || view.state.doc.toString() === query) return;
    write(view, query);
  }, [query]);

  const position = error?.position;
  useEffect(() => {
    const span = position && utf16Span(query, position);
    editor.current?.dispatch({ effects: showError.of(span) });
  }, [query, position]);

  useImperativeHandle(ref, () => ({
    focus: () => {
      const view = editor.current;
      view?.focus();
      view?.dispatch({ selection: { anchor: 0, head: view.state.doc.length } });
    },
    text: () => editor.current?.state.doc.toString().trim() ?? "",
  }));

  return (
    <div className={s.bar}>
      <div ref={host} className={s.editor} data-invalid={error !== undefined} />
      <div id="query-error" role="alert">
        {error !== undefined && <QueryError query={query} error={error} />}
      </div>
    </div>
  );
}

function write(view: EditorView | undefined, text: string): void {
  view?.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: text.length } });
}

function QueryError({ query, error }: { query: string; error: ApiError }) {
  const span = error.position && utf16Span(query, error.position);
  return (
    <p className={s.error}>
      <strong>{error.message}</strong>
      {error.hint !== undefined && <span className={s.hint}>{error.hint}</span>}
      {span !== undefined && <span className={s.column}>at character {span.from + 1}</span>}
    </p>
  );
}
