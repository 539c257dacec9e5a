// The field of one PromQL query. Enter runs, Shift+Enter begins a line; what the server
// says is wrong is underlined where it lies.
import { defaultKeymap, history, historyKeymap, insertNewline } from "@codemirror/commands";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { useEffect, useEffectEvent, useImperativeHandle, useRef, type Ref } from "react";
import type { PrometheusClient } from "@prometheus-io/codemirror-promql/dist/esm/client/prometheus";
import { recent, TYPED } from "../../app/recent";
import { errorMark, showError } from "../../query/language";
import bar from "../../query/QueryBar.module.css";
import type { Span } from "../../query/position";
import s from "./PromEditor.module.css";
import { promql } from "./promql";

export const expressions = recent("watchkeeper.expressions");

export interface PromEditorHandle {
  focus: () => void;
  /** As it stands written, run or not. */
  text: () => string;
  write: (text: string) => void;
}

interface PromEditorProps {
  /** The query's letter. */
  name: string;
  /** The expression that was run last. */
  expression: string;
  invalid: boolean;
  /** Where the error lies. */
  error: Span | undefined;
  vocabulary: PrometheusClient;
  onRun: () => void;
  ref: Ref<PromEditorHandle>;
}

const EXAMPLE = "PromQL: rate(http_requests_total[5m]); Enter runs, Shift+Enter begins a line";

export function PromEditor({ name, expression, invalid, error, vocabulary, onRun, ref }: PromEditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<EditorView>(undefined);
  const recalled = useRef(TYPED);
  const run = useEffectEvent(() => {
    recalled.current = TYPED;
    onRun();
    return true;
  });
  const step = useEffectEvent((view: EditorView, by: 1 | -1) => {
    const found = expressions.recall(recalled.current, view.state.doc.toString(), by);
    if (found === undefined) return true;
    recalled.current = found.state;
    write(view, found.text);
    return true;
  });
  const extensions = useEffectEvent(() => [
    keymap.of([
      { key: "Enter", run: () => run(), shift: insertNewline },
      { key: "Mod-Enter", run: () => run() },
      { key: "Escape", run: (view) => (view.contentDOM.blur(), true) },
      { key: "Ctrl-ArrowUp", run: (view) => step(view, 1) },
      { key: "Ctrl-ArrowDown", run: (view) => step(view, -1) },
    ]),
    promql(vocabulary),
    history(),
    keymap.of([...historyKeymap, ...defaultKeymap]),
    errorMark,
    placeholder(EXAMPLE),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({
      "aria-label": `Query ${name}`,
      "aria-describedby": `query-${name}-notes`,
      spellcheck: "false",
      autocapitalize: "off",
    }),
  ]);

  useEffect(() => {
    if (host.current === null) return undefined;
    const view = new EditorView({ parent: host.current, extensions: extensions() });
    editor.current = view;
    return () => view.destroy();
  }, []);

  useEffect(() => {
    const view = editor.current;
    if (view !== undefined && view.state.doc.toString() !== expression) write(view, expression);
  }, [expression]);

  const from = error?.from;
  const to = error?.to;
  useEffect(() => {
    const span = from === undefined || to === undefined ? undefined : { from, to };
    editor.current?.dispatch({ effects: showError.of(span) });
  }, [expression, from, to]);

  useImperativeHandle(ref, () => ({
    focus: () => editor.current?.focus(),
    text: () => editor.current?.state.doc.toString() ?? expression,
    write: (text) => write(editor.current, text),
  }));

  return <div ref={host} className={`${bar.editor} ${s.editor}`} data-invalid={invalid} />;
}

function write(view: EditorView | undefined, text: string): void {
  view?.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: text.length } });
}
