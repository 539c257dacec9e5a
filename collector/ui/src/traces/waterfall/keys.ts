// The keys of the waterfall, as in any tree grid.
import type { TraceView } from "../useTraceView";

const PAGE = 20;

/** `page` is how many rows are in sight. */
export function treeKeys(view: TraceView, page = PAGE): Record<string, () => void> {
  const { active, shown, folded, opened } = view;
  const at = shown.indexOf(active);
  const by = (rows: number) => () => view.goToRow(at + rows);
  const isFolded = folded.has(active.key);
  return {
    ArrowDown: by(1),
    ArrowUp: by(-1),
    j: by(1),
    k: by(-1),
    PageDown: by(page),
    PageUp: by(-page),
    Home: by(-at),
    End: by(shown.length - 1 - at),
    ArrowRight: () => {
      if (isFolded) view.fold(active, false);
      else if (active.children[0] !== undefined) view.goTo(active.children[0]);
    },
    ArrowLeft: () => {
      if (active.children.length > 0 && !isFolded) view.fold(active, true);
      else if (active.parent !== undefined) view.goTo(active.parent);
    },
    Enter: () => (opened === active ? view.close() : view.open(active)),
    e: () => view.step("error", 1),
    E: () => view.step("error", -1),
    n: () => view.step("highlight", 1),
    N: () => view.step("highlight", -1),
    z: () => view.zoom(view.zoomed === active ? undefined : active),
  };
}
