// The bar on top of every page: where one is, what fires, and preferences.
import { useFiring } from "../alerts/useRules";
import { zoneName } from "../time/format";
import { TRACES } from "../traces/state";
import { Icon } from "../widgets/Icon";
import { Link } from "./Link";
import { pageAddress, useLocation } from "./location";
import { prefer, usePreferences, type Theme } from "./preferences";
import s from "./TopBar.module.css";

const NEXT_THEME: Record<Theme, Theme> = { auto: "dark", dark: "light", light: "auto" };

export function TopBar({ onHelp }: { onHelp: () => void }) {
  const { path, at } = useLocation();
  const { theme, zone } = usePreferences();
  const firing = useFiring();
  return (
    <header className={s.bar}>
      <Link href="/ui/logs" className={s.brand}>
        <img src="/ui/icon.svg" alt="" width="20" height="20" />
        Watchkeeper
      </Link>
      <nav className={s.nav} aria-label="Pages">
        <Link href={pageAddress("/ui/logs")} aria-current={path === "/ui/logs" ? "page" : undefined}>
          Logs
        </Link>
        <Link href={pageAddress(TRACES)} aria-current={path === TRACES || path.startsWith(`${TRACES}/`) ? "page" : undefined}>
          Traces
        </Link>
        <Link href={pageAddress("/ui/metrics")} aria-current={path === "/ui/metrics" ? "page" : undefined}>
          Metrics
        </Link>
        <Link href={pageAddress("/ui/alerts")} aria-current={path === "/ui/alerts" ? "page" : undefined}>
          Alerts
          {firing > 0 && (
            <span className={s.firing} aria-label={`${firing} firing`}>
              {firing}
            </span>
          )}
        </Link>
      </nav>
      <div className={s.tools}>
        <button
          type="button"
          className="quiet"
          title="Times in the local zone or in UTC"
          onClick={() => prefer({ zone: zone === "utc" ? "local" : "utc" })}
        >
          {zoneName(zone, at)}
        </button>
        <button
          type="button"
          className="quiet icon"
          aria-label={`Theme: ${theme}`}
          title={`Theme: ${theme}`}
          onClick={() => prefer({ theme: NEXT_THEME[theme] })}
        >
          <Icon name={theme === "auto" ? "half" : theme === "dark" ? "moon" : "sun"} />
        </button>
        <button type="button" className="quiet icon" aria-label="Keys and syntax" title="Keys and syntax (?)" onClick={onHelp}>
          <Icon name="help" />
        </button>
      </div>
    </header>
  );
}
