// The fields that the search asks for, each to be turned round or taken away.
import { removeTerm } from "../query/edit";
import { hasOuterOr, terms, type Term } from "../query/terms";
import { Icon } from "../widgets/Icon";
import s from "./FilterPills.module.css";

interface FilterPillsProps {
  query: string;
  onChange: (query: string) => void;
}

export function FilterPills({ query, onChange }: FilterPillsProps) {
  const filters = hasOuterOr(query) ? [] : terms(query).filter((term) => term.field !== undefined);
  if (filters.length === 0) return null;
  return (
    <ul className={s.pills} aria-label="Filters">
      {filters.map((term) => {
        const text = plain(query, term);
        return (
          <li key={`${term.from}`} className={s.pill} data-negated={term.negated}>
            <button
              type="button"
              title={term.negated ? "Filtered out; click to filter for it" : "Click to filter it out"}
              onClick={() => onChange(query.slice(0, term.from) + (term.negated ? text : `NOT ${text}`) + query.slice(term.to))}
            >
              {term.negated && (
                <>
                  <b>NOT</b>{" "}
                </>
              )}
              {text}
            </button>
            <button type="button" aria-label={`Remove ${text}`} title="Remove" onClick={() => onChange(removeTerm(query, term))}>
              <Icon name="close" />
            </button>
          </li>
        );
      })}
    </ul>
  );
}

/** The term as written, without the NOTs before it. */
function plain(query: string, term: Term): string {
  return query.slice(term.from, term.to).replace(/^(?:NOT\s+|-)+/, "");
}
