// PromQL in the editor: colours, completion, and what is wrong while one writes.
import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import type { Extension } from "@codemirror/state";
import { keymap } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import type { PrometheusClient } from "@prometheus-io/codemirror-promql/dist/esm/client/prometheus";
import { takeFirst } from "../../query/autocomplete";
import { MOST_NAMES } from "./vocabulary";

const COLOURS = HighlightStyle.define([
  { tag: tags.name, color: "var(--text)" },
  { tag: [tags.labelName, tags.attributeName], color: "var(--level-warn)" },
  { tag: [tags.function(tags.variableName), tags.operatorKeyword], color: "var(--accent)" },
  { tag: [tags.keyword, tags.modifier], color: "var(--level-fatal)" },
  { tag: tags.string, color: "var(--level-info)" },
  { tag: [tags.number, tags.literal], color: "var(--level-trace)" },
  { tag: [tags.operator, tags.arithmeticOperator, tags.compareOperator], color: "var(--level-fatal)" },
  { tag: tags.comment, color: "var(--text-muted)", fontStyle: "italic" },
]);

export function promql(vocabulary: PrometheusClient): Extension {
  const language = new PromQLExtension().setComplete({ remote: vocabulary, maxMetricsMetadata: MOST_NAMES });
  return [
    language.asExtension(),
    syntaxHighlighting(COLOURS),
    bracketMatching(),
    closeBrackets(),
    autocompletion({
      icons: false,
      // Enter runs the query unless the reader has gone into the list.
      selectOnOpen: false,
      interactionDelay: 0,
      maxRenderedOptions: 100,
    }),
    keymap.of([
      { key: "Tab", run: takeFirst },
      { key: "Ctrl-Enter", run: acceptCompletion },
      ...closeBracketsKeymap,
      ...completionKeymap,
    ]),
  ];
}
