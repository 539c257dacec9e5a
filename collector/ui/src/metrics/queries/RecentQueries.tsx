// The expressions run last, to run again.
import { expressions } from "../editor/PromEditor";
import s from "./RecentQueries.module.css";

const SHOWN = 20;

export function RecentQueries({ onChoose }: { onChoose: (expression: string) => void }) {
  const recent = expressions.use();
  if (recent.length === 0) return <p className={s.none}>None yet. Queries that are run stay in this browser.</p>;
  return (
    <ul className={s.list}>
      {recent.slice(0, SHOWN).map((expression, at) => (
        <li key={expression}>
          <button type="button" className="quiet" title={expression} data-first={at === 0 ? true : undefined} onClick={() => onChoose(expression)}>
            {expression}
          </button>
        </li>
      ))}
    </ul>
  );
}
