// The edge of a panel: drag it, or use the arrow keys, to change the panel's width.
import { useState, type KeyboardEvent, type PointerEvent } from "react";
import s from "./ResizeHandle.module.css";

const WIDEST = 1000;
const KEY_STEP = 24;

interface ResizeHandleProps {
  name: string;
  /** The panel's side that the edge is on. */
  side: "left" | "right";
  width: number;
  narrowest?: number;
  onResize: (width: number) => void;
}

export function ResizeHandle({ name, side, width, narrowest = 320, onResize }: ResizeHandleProps) {
  const [grip, setGrip] = useState<number>();
  const outwards = side === "left" ? -1 : 1;
  const resize = (to: number) => onResize(Math.round(Math.min(WIDEST, Math.max(narrowest, to))));
  const move = (event: PointerEvent) => {
    if (grip !== undefined) resize(outwards * (event.clientX - grip));
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "ArrowLeft") resize(width - outwards * KEY_STEP);
    else if (event.key === "ArrowRight") resize(width + outwards * KEY_STEP);
    else return;
    event.preventDefault();
  };
  return (
    <div
      className={s.handle}
      data-side={side}
      role="separator"
      aria-orientation="vertical"
      aria-label={name}
      aria-valuenow={width}
      aria-valuemin={narrowest}
      aria-valuemax={WIDEST}
      tabIndex={0}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setGrip(event.clientX - outwards * width);
      }}
      onPointerMove={move}
      onPointerUp={() => setGrip(undefined)}
      onPointerCancel={() => setGrip(undefined)}
      onKeyDown={key}
    />
  );
}
