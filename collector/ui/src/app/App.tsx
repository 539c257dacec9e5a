// The frame of all pages: top bar, the page of the URL, the cheat sheet.
import { lazy, Suspense, useEffect, useState } from "react";
import { AlertsPage } from "../alerts/AlertsPage";
import { LogsPage } from "../logs/LogsPage";
import { idInPath, TRACES } from "../traces/state";
import { TracePage } from "../traces/TracePage";
import { TracesPage } from "../traces/TracesPage";
import { Toasts } from "../widgets/Toasts";
import { CheatSheet } from "./CheatSheet";
import { navigate, pageAddress, useLocation } from "./location";
import { NotFound } from "./NotFound";
import { useShortcuts } from "./shortcuts";
import { TopBar } from "./TopBar";
import { useAgain } from "./useAgain";

// Its editor and graph are as large as all else together: they load when they are looked at.
const MetricsPage = lazy(() => import("../metrics/MetricsPage").then((module) => ({ default: module.MetricsPage })));

export function App() {
  const { path } = useLocation();
  const [help, setHelp] = useState(false);
  useAgain();
  useShortcuts({
    "?": () => setHelp(true),
    "g l": () => navigate(pageAddress("/ui/logs")),
    "g t": () => navigate(pageAddress(TRACES)),
    "g m": () => navigate(pageAddress("/ui/metrics")),
    "g a": () => navigate(pageAddress("/ui/alerts")),
  });
  return (
    <>
      <TopBar onHelp={() => setHelp(true)} />
      <Page path={path} />
      {help && <CheatSheet onClose={() => setHelp(false)} />}
      <Toasts />
    </>
  );
}

function Page({ path }: { path: string }) {
  const page = path.replace(/\/+$/, "");
  useEffect(() => {
    if (page === "/ui") navigate(`/ui/logs${window.location.search}`, { replace: true });
    document.title = `${titleOf(page)} · Watchkeeper`;
  }, [page]);
  if (page === "/ui") return null;
  if (page === "/ui/logs") return <LogsPage />;
  if (page === "/ui/metrics") {
    return (
      <Suspense fallback={<main className="page" aria-busy="true" />}>
        <MetricsPage />
      </Suspense>
    );
  }
  if (page === "/ui/alerts") return <AlertsPage />;
  if (page === TRACES) return <TracesPage />;
  if (page.startsWith(`${TRACES}/`)) return <TracePage />;
  return <NotFound path={path} />;
}

function titleOf(page: string): string {
  return page.startsWith(`${TRACES}/`) ? `Trace ${idInPath(page).slice(0, 8)}` : (TITLES[page] ?? "Not found");
}

const TITLES: Record<string, string> = {
  "/ui": "Logs",
  "/ui/logs": "Logs",
  "/ui/traces": "Traces",
  "/ui/metrics": "Metrics",
  "/ui/alerts": "Alerts",
};
