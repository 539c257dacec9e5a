// Keys that move a page's time range, the same on every page that has one.
import type { Shortcuts } from "../app/shortcuts";
import { copy, pasted } from "../widgets/copy";
import { toast } from "../widgets/Toasts";
import { rangeText, readRangeText } from "./exchange";
import { absolute, type RangeText, type TimeRange } from "./range";

interface Timed {
  /** The range, or what is wrong with it. */
  range: TimeRange | string;
  pickRange: (range: RangeText) => void;
  zoomOut: () => void;
  shift: (direction: -1 | 1) => void;
}

export function timeKeys(view: Timed): Shortcuts {
  return {
    "t z": view.zoomOut,
    "t ArrowLeft": () => view.shift(-1),
    "t ArrowRight": () => view.shift(1),
    "t c": () => {
      if (typeof view.range !== "string") void copy(rangeText(absolute(view.range)), "Time range");
    },
    "t v": () => void pasteRange(view),
  };
}

async function pasteRange({ pickRange }: Timed): Promise<void> {
  const text = await pasted();
  const range = text === undefined ? undefined : readRangeText(text);
  if (range !== undefined) pickRange(range);
  else toast(text === undefined ? "The browser does not allow pasting here" : "The clipboard holds no time range");
}
