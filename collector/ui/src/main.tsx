// Starts the application.
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { asApiError } from "./api/client";
import { App } from "./app/App";
import { Crash } from "./app/Crash";
import { applyTheme } from "./app/preferences";
import "./styles/tokens.css";
import "./styles/base.css";

applyTheme();

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      refetchOnWindowFocus: false,
      staleTime: Infinity,
      retry: (failures, error) => failures < 2 && asApiError(error).temporary,
      // An unreachable server is an error to show, not a reason to wait in silence.
      networkMode: "always",
    },
  },
});

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <Crash>
      <QueryClientProvider client={queries}>
        <App />
      </QueryClientProvider>
    </Crash>
  </StrictMode>,
);
