// A button that opens a panel above the page. The browser closes it on Escape
// and on a click elsewhere, and gives the focus back.
import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import s from "./Popover.module.css";

interface PopoverProps {
  /** What the button shows. */
  label: ReactNode;
  /** The button's and the panel's name, where the label is no text. */
  name: string;
  /** The button's hint; its name when left out. */
  title?: string;
  className?: string;
  /** The panel's content while it is open. */
  children: (close: () => void) => ReactNode;
}

const GAP = 4;
const MARGIN = 8;

export function Popover({ label, name, title = name, className = "quiet", children }: PopoverProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);
  const close = () => document.getElementById(id)?.hidePopover();

  useEffect(() => {
    if (!open || button.current === null || panel.current === null) return;
    const at = button.current.getBoundingClientRect();
    const size = panel.current.getBoundingClientRect();
    const left = Math.min(at.left, window.innerWidth - size.width - MARGIN);
    const below = at.bottom + GAP;
    const top = below + size.height + MARGIN > window.innerHeight ? Math.max(MARGIN, at.top - GAP - size.height) : below;
    panel.current.style.translate = `${Math.max(MARGIN, left)}px ${top}px`;
    panel.current.querySelector<HTMLElement>("[data-first]")?.focus();
  }, [open]);

  return (
    <>
      <button
        ref={button}
        type="button"
        className={className}
        popoverTarget={id}
        aria-expanded={open}
        aria-haspopup="dialog"
        aria-label={typeof label === "string" ? undefined : name}
        title={title}
      >
        {label}
      </button>
      <div
        ref={panel}
        id={id}
        popover="auto"
        role="dialog"
        aria-label={name}
        className={s.panel}
        onToggle={(event) => setOpen(event.newState === "open")}
      >
        {open && children(close)}
      </div>
    </>
  );
}
