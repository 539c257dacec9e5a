// Refreshes every so often, but never under a reader who has scrolled or marked
// text, nor in a hidden tab.
import { useEffect, useEffectEvent } from "react";
import { refresh } from "../app/location";

/** Returns why it rests just now, if it does. */
export function useAutoRefresh(seconds: number, scrolled: boolean): string | undefined {
  const tick = useEffectEvent(() => {
    const marking = window.getSelection()?.isCollapsed === false;
    if (!scrolled && !marking && !document.hidden) refresh();
  });
  useEffect(() => {
    if (seconds === 0) return undefined;
    const timer = setInterval(tick, seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  return scrolled ? "paused while scrolled" : undefined;
}
