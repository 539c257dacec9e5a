// Offers fields, values and keywords in the search bar.
import {
  acceptCompletion,
  autocompletion,
  completionStatus,
  insertCompletionText,
  moveCompletionSelection,
  selectedCompletionIndex,
  snippet,
  startCompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
} from "@codemirror/autocomplete";
import type { Extension } from "@codemirror/state";
import { EditorView, keymap } from "@codemirror/view";
import type { FieldInfo } from "../api/types";
import { placeAt } from "./place";
import { valueSuggestions, wordSuggestions, type Suggestion, type Value } from "./suggestions";

/** What the server knows; a failure is answered as nothing known. */
export interface Vocabulary {
  fields: () => Promise<readonly FieldInfo[]>;
  values: (field: string, prefix: string) => Promise<readonly Value[]>;
}

/** A word goes on with these: what is offered for it stays right. */
const REST_OF_WORD = /^[\p{L}\p{N}_.\-/@]*$/u;

export function completion(vocabulary: () => Vocabulary): Extension {
  const source = async (context: CompletionContext): Promise<CompletionResult | null> => {
    const place = placeAt(context.state.doc.toString(), context.pos);
    if (place === undefined) return null;
    if (place.field !== undefined) {
      const values = await vocabulary().values(place.field, place.prefix);
      const options = valueSuggestions(place, values).map(toCompletion);
      // The server has chosen by the prefix; another prefix is another question.
      return { from: place.from, options, filter: false };
    }
    if (place.prefix === "" && !context.explicit) return null;
    const fields = await vocabulary().fields();
    const options = wordSuggestions(place, fields).map(toCompletion);
    return { from: place.from, options, validFor: REST_OF_WORD };
  };
  return [
    autocompletion({
      override: [source],
      icons: false,
      // Enter runs the search unless the reader has gone into the list.
      selectOnOpen: false,
      // Nothing is chosen by itself, so no key can be meant for something else.
      interactionDelay: 0,
      maxRenderedOptions: 60,
    }),
    keymap.of([{ key: "Tab", run: takeFirst }]),
  ];
}

/** Takes the offer that is chosen, or else the first. */
export function takeFirst(view: EditorView): boolean {
  if (completionStatus(view.state) !== "active") return false;
  if (selectedCompletionIndex(view.state) === null || selectedCompletionIndex(view.state) === -1) {
    moveCompletionSelection(true)(view);
  }
  return acceptCompletion(view);
}

function toCompletion({ label, insert, detail, continues, rank }: Suggestion): Completion {
  const apply = insert.includes("${")
    ? snippet(insert)
    : (view: EditorView, _: Completion, from: number, to: number) => {
        view.dispatch(insertCompletionText(view.state, insert, from, to));
        if (continues) startCompletion(view);
      };
  return { label, detail, boost: rank, apply };
}
