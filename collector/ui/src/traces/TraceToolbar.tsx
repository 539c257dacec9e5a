// Above the waterfall: the filter, what it finds, the services with their colours.
import { useDeferredValue, type KeyboardEvent, type RefObject } from "react";
import { Tool } from "../widgets/Tool";
import { colourOf } from "./colours";
import s from "./TraceToolbar.module.css";
import type { TraceView } from "./useTraceView";

export function TraceToolbar({ view, filter }: { view: TraceView; filter: RefObject<HTMLInputElement | null> }) {
  const { tree, state, highlight, zoomed } = view;
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter") view.step("highlight", event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") {
      if (state.text !== "") view.show({ text: "" }, true);
      filter.current?.blur();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const foldable = tree.nodes.some(({ below }) => below > 0);
  return (
    <div className={s.toolbar}>
      <search className={s.find} aria-label="Highlight spans">
        <input
          ref={filter}
          type="search"
          aria-label="Highlight spans"
          placeholder="Highlight by name, service, attribute"
          title="All words must occur (/). Attributes are written key=value."
          spellCheck={false}
          value={state.text}
          onChange={(event) => view.show({ text: event.target.value }, true)}
          onKeyDown={press}
        />
        <Found view={view} />
        <Tool icon="up" name="Previous match" title="Previous match (Shift+Enter, N)" disabled={!highlight?.size} onClick={() => view.step("highlight", -1)} />
        <Tool icon="down" name="Next match" title="Next match (Enter, n)" disabled={!highlight?.size} onClick={() => view.step("highlight", 1)} />
      </search>
      <button type="button" className="quiet" disabled={!foldable} onClick={() => view.foldAll(true)}>
        Fold all
      </button>
      <button type="button" className="quiet" disabled={view.folded.size === 0} onClick={() => view.foldAll(false)}>
        Unfold all
      </button>
      {zoomed !== undefined && (
        <button type="button" title="The time axis shows one span (z)" onClick={() => view.zoom(undefined)}>
          Show the whole trace
        </button>
      )}
      <ul className={s.legend} aria-label="Services">
        {tree.services.map(({ name, spans, errors }) => (
          <li key={name}>
            <button
              type="button"
              className="quiet"
              aria-pressed={state.service === name}
              title={`Highlight the spans of ${name || "no service"}`}
              onClick={() => view.show({ service: state.service === name ? undefined : name })}
            >
              <i style={{ background: colourOf(tree, name) }} />
              {name || "no service"}
              <span className={s.count}>{spans.toLocaleString("en")}</span>
              {errors > 0 && (
                <span className={s.failed}>
                  {errors.toLocaleString("en")} {errors === 1 ? "error" : "errors"}
                </span>
              )}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Found({ view }: { view: TraceView }) {
  const { highlight, tree } = view;
  const count = useDeferredValue(highlight?.size);
  return (
    <span className={s.found} role="status">
      {count !== undefined && `${count.toLocaleString("en")} of ${tree.nodes.length.toLocaleString("en")}`}
    </span>
  );
}
