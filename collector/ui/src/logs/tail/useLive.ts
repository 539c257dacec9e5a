// The live tail as the page uses it: records while it follows, and what stops it.
import { useState } from "react";
import type { ScrollPosition } from "../table/Rows";
import { useTail, type Tail } from "./useTail";

export interface Live extends Tail {
  following: boolean;
  /** Why it does not follow. */
  rests: "paused" | "scrolled" | "marking" | undefined;
  pause: () => void;
  resume: () => void;
  scrolled: (position: ScrollPosition) => void;
  /** The reader turned away from the last row. */
  leave: () => void;
  /** The reader began or ended to mark text. */
  setMarking: (marking: boolean) => void;
}

/** `query` is undefined while nothing is to be followed. */
export function useLive(query: string | undefined): Live {
  const [paused, setPaused] = useState(false);
  const [atEnd, setAtEnd] = useState(true);
  const [marking, setMarking] = useState(false);
  const rests = paused ? "paused" : marking ? "marking" : atEnd ? undefined : "scrolled";
  const tail = useTail(query, rests === undefined);
  return {
    ...tail,
    following: rests === undefined,
    rests,
    pause: () => setPaused(true),
    resume: () => {
      setPaused(false);
      setAtEnd(true);
      window.getSelection()?.empty();
    },
    scrolled: ({ atEnd, upwards }) => {
      if (atEnd) setAtEnd(true);
      else if (upwards) setAtEnd(false);
    },
    leave: () => setAtEnd(false),
    setMarking,
  };
}
