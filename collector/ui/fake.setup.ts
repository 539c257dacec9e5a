import { spawn } from "node:child_process";
import { sendLogs } from "./e2e/otlp";
import { MINUTES, records } from "./e2e/scenario";
export default async function () {
  const child = spawn("node", ["/tmp/ui/full.mjs"], { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise<string>((go) => child.stdout.once("data", (x) => go(String(x).trim())));
  const start = Math.floor(Date.now() / 1000) * 1000 - (MINUTES + 1) * 60_000;
  const logs = records(start);
  for (let at = 0; at < logs.length; at += 500) await sendLogs(`127.0.0.1:${port}`, logs.slice(at, at + 500));
  process.env.WATCHKEEPER_SCENARIO = JSON.stringify({ url: `http://127.0.0.1:${port}`, otlp: `127.0.0.1:${port}`, mails: "", start });
  return () => child.kill();
}
