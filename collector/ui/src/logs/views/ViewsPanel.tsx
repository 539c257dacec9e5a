// Saved views and the searches run last, both kept in this browser.
import { useState, type SubmitEvent } from "react";
import { Link } from "../../app/Link";
import { searches } from "../../query/history";
import { Tool } from "../../widgets/Tool";
import { deleteView, saveView, useSavedViews } from "./savedViews";
import s from "./ViewsPanel.module.css";

interface ViewsPanelProps {
  /** The address of what is shown now. */
  url: string;
  /** A name to begin with. */
  suggested: string;
  onSearch: (query: string) => void;
  onDone: () => void;
}

const RECENT = 12;

export function ViewsPanel({ url, suggested, onSearch, onDone }: ViewsPanelProps) {
  const views = useSavedViews();
  const recent = searches.use();
  const [name, setName] = useState(suggested);
  const trimmed = name.trim();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (trimmed !== "") saveView({ name: trimmed, url });
  };
  const run = (search: string) => {
    onDone();
    onSearch(search);
  };
  return (
    <div className={s.panel}>
      <form onSubmit={submit}>
        <input data-first aria-label="Name of the view" placeholder="Name of this view" value={name} onChange={(event) => setName(event.target.value)} />
        <button type="submit" className="primary" disabled={trimmed === ""}>
          {views.some((view) => view.name === trimmed) ? "Save over" : "Save"}
        </button>
      </form>
      <h2>Saved views</h2>
      {views.length === 0 && <p>None yet. They hold search, time, columns and all else, and stay in this browser.</p>}
      <ul>
        {views.map((view) => (
          <li key={view.name}>
            <Link href={view.url} onClick={onDone}>
              {view.name}
            </Link>
            <Tool icon="close" name={`Delete ${view.name}`} title="Delete the view" onClick={() => deleteView(view.name)} />
          </li>
        ))}
      </ul>
      {recent.length > 0 && (
        <>
          <h2>Recent searches</h2>
          <ul>
            {recent.slice(0, RECENT).map((search) => (
              <li key={search}>
                <button type="button" className={`quiet ${s.search}`} title={search} onClick={() => run(search)}>
                  {search}
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
