// The clock behind automatic refreshing.
import { useEffect, useEffectEvent } from "react";
import { refresh } from "./location";

/**
 * Refreshes every so often, but never while `held`, under a reader who has marked
 * text, nor in a hidden tab.
 */
export function useAutoRefresh(seconds: number, held: boolean): void {
  const tick = useEffectEvent(() => {
    const marking = window.getSelection()?.isCollapsed === false;
    if (!held && !marking && !document.hidden) refresh();
  });
  useEffect(() => {
    if (seconds === 0) return undefined;
    const timer = setInterval(tick, seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
}
