// Starts the server, sends it the scenario, and hands its address to the tests.
import { readFileSync } from "node:fs";
import { metrics } from "./metricsScenario";
import { sendGauge, sendLogs, sendMetrics, sendSpans } from "./otlp";
import { MINUTES, records, type Scenario } from "./scenario";
import { startServer } from "./server";
import { failingTrace } from "./traceScenario";

const BATCH = 500;

export default async function globalSetup(): Promise<() => Promise<void>> {
  const server = await startServer();
  const url = `http://${server.addresses.http}`;
  const otlp = server.addresses.otlp_http;
  await checkPages(url);
  const start = Math.floor(Date.now() / 1000) * 1000 - (MINUTES + 1) * 60_000;
  const logs = records(start);
  for (let at = 0; at < logs.length; at += BATCH) {
    await sendLogs(otlp, logs.slice(at, at + BATCH));
    // Some records lie in a sealed split, the others in the head.
    if (at === 3 * BATCH) await flush(url);
  }
  await sendSpans(otlp, failingTrace(start));
  await sendMetrics(otlp, "task-api", metrics(start));
  await sendGauge(otlp, "demo_failures", 40);
  const scenario: Scenario = { url, otlp, mails: server.mails, start };
  process.env.WATCHKEEPER_SCENARIO = JSON.stringify(scenario);
  return server.stop;
}

/** The server must carry the pages built here, or the tests would test others. */
async function checkPages(url: string): Promise<void> {
  const served = await (await fetch(`${url}/ui/`)).text();
  if (served !== readFileSync("dist/index.html", "utf8")) {
    throw new Error('the server carries other pages: run "npm run build", then build the server');
  }
}

async function flush(url: string): Promise<void> {
  const response = await fetch(`${url}/-/flush`, { method: "POST" });
  if (!response.ok) throw new Error(`POST /-/flush: ${response.status} ${await response.text()}`);
}
