// The button that copies links to what is shown: as it is, and with exactly these times.
import { copy } from "./copy";
import { Icon } from "./Icon";
import { Popover } from "./Popover";
import s from "./ShareMenu.module.css";

interface ShareMenuProps {
  link: string;
  /** Undefined while the times are none. */
  absoluteLink: string | undefined;
}

export function ShareMenu({ link, absoluteLink }: ShareMenuProps) {
  return (
    <Popover label={<><Icon name="link" /> Share</>} name="Share" title="Links to what is shown">
      {(close) => {
        const share = (text: string, what: string) => {
          close();
          void copy(text, what);
        };
        return (
          <div className={s.share}>
            <button type="button" className="quiet" data-first onClick={() => share(link, "Link")}>
              Copy link
              <small>as it is: “last 15 minutes” stays that</small>
            </button>
            {absoluteLink !== undefined && (
              <button type="button" className="quiet" onClick={() => share(absoluteLink, "Absolute link")}>
                Copy absolute link
                <small>exactly these times, for others and for later</small>
              </button>
            )}
          </div>
        );
      }}
    </Popover>
  );
}
