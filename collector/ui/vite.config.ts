// How the pages are built (into dist/, embedded by the server) and served while developing.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` forwards API calls to a running server.
const server = process.env.WATCHKEEPER_URL ?? "http://127.0.0.1:8770";

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  build: { target: "es2022", sourcemap: false, chunkSizeWarningLimit: 1000 },
  // The help is read from docs/search-syntax.md.
  server: { host: "127.0.0.1", proxy: { "/api": server }, fs: { allow: ["../.."] } },
  test: { include: ["src/**/*.test.ts"] },
});
