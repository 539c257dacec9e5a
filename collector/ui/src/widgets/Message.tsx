// A quiet block for empty, error and not-found states: what is so, and the way out.
import type { ReactNode } from "react";
import s from "./Message.module.css";

interface MessageProps {
  title: string;
  kind?: "note" | "error";
  children?: ReactNode;
}

export function Message({ title, kind = "note", children }: MessageProps) {
  return (
    <section className={s.message} data-kind={kind} role={kind === "error" ? "alert" : undefined}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}
