// Records as they arrive, the newest at the bottom. Scrolling away, marking text
// or Pause stops the rows under the reader; new ones wait.
import { useEffect, useRef, type ReactNode, type RefObject } from "react";
import { Icon } from "../../widgets/Icon";
import { Message } from "../../widgets/Message";
import type { TailBuffer } from "./buffer";
import s from "./LiveView.module.css";
import type { Live } from "./useLive";

interface LiveViewProps {
  live: Live;
  /** The records shown, when there are any. */
  children: ReactNode;
}

export function LiveView({ live, children }: LiveViewProps) {
  const { buffer, connection, error, following } = live;
  const { shown, held } = buffer;
  const box = useRef<HTMLDivElement>(null);
  useMarking(box, live.setMarking);

  const waiting = {
    connecting: "Connecting…",
    open: "Waiting for records that match.",
    lost: "The server cannot be reached.",
    failed: "",
  }[connection];
  return (
    <div ref={box} className={s.live} onWheel={(event) => event.deltaY < 0 && shown.length > 0 && live.leave()}>
      <div className={s.bar}>
        <Status live={live} />
        <p className={s.counts} data-testid="tail-counts">
          {counts(buffer)}
        </p>
        {following ? (
          <button type="button" className="quiet" onClick={live.pause}>
            <Icon name="pause" />
            Pause
          </button>
        ) : (
          <button type="button" className="primary" onClick={live.resume}>
            <Icon name="play" />
            {held.length > 0 ? `Resume: ${held.length.toLocaleString("en")} new` : "Resume"}
          </button>
        )}
        <button type="button" className="quiet" onClick={live.clear}>
          <Icon name="clear" />
          Clear
        </button>
      </div>
      {error !== undefined ? (
        <Message title="The live tail was refused" kind="error">
          <p>{error.message}</p>
          {error.hint !== undefined && <p>{error.hint}</p>}
        </Message>
      ) : shown.length === 0 ? (
        <p className={s.waiting}>{waiting}</p>
      ) : (
        children
      )}
    </div>
  );
}

const RESTS = { paused: "Paused", scrolled: "Paused while scrolled", marking: "Paused while text is marked" };

function Status({ live: { connection, rests } }: { live: Live }) {
  const open = rests === undefined ? "Live" : RESTS[rests];
  const text = { connecting: "Connecting…", open, lost: "Connection lost: trying again", failed: "Refused" }[connection];
  return (
    <span className={s.status} data-state={connection === "open" && rests !== undefined ? "paused" : connection} role="status">
      {text}
    </span>
  );
}

function counts({ shown, dropped, discarded, gaps }: TailBuffer): string {
  const n = (count: number) => count.toLocaleString("en");
  return [
    `${n(shown.length)} shown`,
    discarded > 0 && `${n(discarded)} older ones let go`,
    dropped > 0 && `${n(dropped)} dropped by the server: this page was too slow`,
    gaps > 0 && "records may be missing from when the connection was lost",
  ]
    .filter((part) => part !== false)
    .join(" · ");
}

/** Tells when text inside of an element is marked. */
function useMarking(box: RefObject<HTMLElement | null>, tell: (marking: boolean) => void): void {
  useEffect(() => {
    const look = () => {
      const selection = document.getSelection();
      const anchor = selection?.anchorNode ?? null;
      tell(selection?.isCollapsed === false && box.current?.contains(anchor) === true);
    };
    document.addEventListener("selectionchange", look);
    return () => document.removeEventListener("selectionchange", look);
  }, [box, tell]);
}
