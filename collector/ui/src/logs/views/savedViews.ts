// Views of the Logs page that the reader saved, kept in this browser.
import { stored } from "../../app/stored";

export interface SavedView {
  name: string;
  /** The page's address without its origin. */
  url: string;
}

function isView(value: unknown): value is SavedView {
  const view = value as Partial<SavedView> | null;
  return typeof view?.name === "string" && typeof view.url === "string" && view.url.startsWith("/ui/logs");
}

const views = stored<readonly SavedView[]>("watchkeeper.views", (value) =>
  Array.isArray(value) ? value.filter(isView) : [],
);

export const useSavedViews = views.use;

/** A view of the same name gives way. */
export function saveView(view: SavedView): void {
  const others = views.get().filter(({ name }) => name !== view.name);
  views.set([...others, view].sort((a, b) => a.name.localeCompare(b.name)));
}

export function deleteView(name: string): void {
  views.set(views.get().filter((view) => view.name !== name));
}
