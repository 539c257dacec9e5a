// Remarks in small print: what an answer leaves out or warns of.
import s from "./Notices.module.css";

interface NoticesProps {
  items: readonly string[];
  kind?: "info" | "warning";
}

export function Notices({ items, kind = "info" }: NoticesProps) {
  if (items.length === 0) return null;
  return (
    <ul className={s.notices} data-kind={kind}>
      {items.map((item) => (
        <li key={item}>{item}</li>
      ))}
    </ul>
  );
}
