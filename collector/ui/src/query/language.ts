// The search syntax in the editor: colours by token, and the server's error underlined.
import { StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, ViewPlugin, type DecorationSet, type ViewUpdate } from "@codemirror/view";
import { lex, type TokenKind } from "./lex";
import type { Span } from "./position";

const CLASSES: Record<TokenKind, string> = {
  open: "q-operator",
  close: "q-operator",
  and: "q-operator",
  or: "q-operator",
  not: "q-operator",
  field: "q-field",
  comparison: "q-operator",
  word: "q-word",
  phrase: "q-phrase",
  regex: "q-pattern",
  range: "q-pattern",
};

function colour(view: EditorView): DecorationSet {
  const tokens = lex(view.state.doc.toString());
  return Decoration.set(
    tokens.map((token) => Decoration.mark({ class: CLASSES[token.kind] }).range(token.from, token.to)),
  );
}

export const colours = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = colour(view);
    }
    update(update: ViewUpdate) {
      if (update.docChanged) this.decorations = colour(update.view);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

/** Underlines a span, or nothing; typing removes it. */
export const showError = StateEffect.define<Span | undefined>();

export const errorMark = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    for (const effect of transaction.effects) {
      if (effect.is(showError)) return markError(effect.value, transaction.state.doc.length);
    }
    return transaction.docChanged ? Decoration.none : marks;
  },
  provide: (field) => EditorView.decorations.from(field),
});

function markError(span: Span | undefined, length: number): DecorationSet {
  if (span === undefined || length === 0) return Decoration.none;
  // Something missing at a place has no width: mark the character before it.
  const to = Math.min(length, Math.max(span.to, span.from + 1));
  const from = Math.min(span.from, to - 1);
  return Decoration.set([Decoration.mark({ class: "q-error" }).range(from, to)]);
}
