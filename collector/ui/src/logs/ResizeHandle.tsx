// The drawer's left edge: drag it, or use the arrow keys, to change the width.
import { useState, type KeyboardEvent, type PointerEvent } from "react";
import s from "./Drawer.module.css";

const NARROWEST = 320;
const WIDEST = 1000;
const KEY_STEP = 24;

interface ResizeHandleProps {
  width: number;
  onResize: (width: number) => void;
}

export function ResizeHandle({ width, onResize }: ResizeHandleProps) {
  const [grip, setGrip] = useState<number>();
  const resize = (to: number) => onResize(Math.round(Math.min(WIDEST, Math.max(NARROWEST, to))));
  const move = (event: PointerEvent) => {
    if (grip !== undefined) resize(grip - event.clientX);
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "ArrowLeft") resize(width + KEY_STEP);
    else if (event.key === "ArrowRight") resize(width - KEY_STEP);
    else return;
    event.preventDefault();
  };
  return (
    <div
      className={s.handle}
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the record"
      aria-valuenow={width}
      aria-valuemin={NARROWEST}
      aria-valuemax={WIDEST}
      tabIndex={0}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setGrip(event.clientX + width);
      }}
      onPointerMove={move}
      onPointerUp={() => setGrip(undefined)}
      onPointerCancel={() => setGrip(undefined)}
      onKeyDown={key}
    />
  );
}
