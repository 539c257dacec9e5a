// Runs the real server in a temporary folder, on free ports.
import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startMailbox } from "./mailbox";

export interface Addresses {
  http: string;
  otlp_http: string;
}

export interface Server {
  addresses: Addresses;
  /** Where the mails lie that it sent. */
  mails: string;
  /** Stops it with SIGTERM and fails when it does not end in peace. */
  stop: () => Promise<void>;
}

const START_MS = 60_000;
const STOP_MS = 30_000;

const RULES = `groups:
  - name: task-api
    interval: 1s
    rules:
      - record: demo:failures:double
        expr: demo_failures * 2
      - alert: RequestsFail
        expr: max by (service_name) (max_over_time(demo_failures[30m])) > 2
        labels: { severity: page, service: task-api }
        annotations:
          summary: "{{ $value }} requests failed"
          logs_query: service:task-api AND severity:>=error
      - alert: RequestsFailForLong
        expr: max_over_time(demo_failures[30m]) > 2
        for: 1h
        labels: { severity: ticket }
      - alert: EverythingIsLost
        expr: demo_failures > 1000
`;

const notify = (port: number) => `global:
  smtp_smarthost: 127.0.0.1:${port}
  smtp_from: watchkeeper@example.org
  smtp_require_tls: false
route:
  receiver: on-call
  group_wait: 1s
receivers:
  - name: on-call
    email_configs:
      - to: on-call@example.org
`;

export async function startServer(): Promise<Server> {
  const binary = resolve(process.env.WATCHKEEPER_BIN ?? "../../target/debug/watchkeeper");
  if (!existsSync(binary)) {
    throw new Error(`there is no server at ${binary}: run "cargo build -p watchkeeper" or set WATCHKEEPER_BIN`);
  }
  const folder = mkdtempSync(join(tmpdir(), "watchkeeper-e2e-"));
  const at = (name: string) => join(folder, name);
  const mailbox = await startMailbox(folder);
  writeFileSync(at("rules.yml"), RULES);
  writeFileSync(at("notify.yml"), notify(mailbox.port));
  const child = spawn(
    binary,
    [
      ["serve", "--http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"],
      ["--data-dir", at("data"), "--ready-file", at("ready.json"), "--rules", at("rules.yml")],
      ["--notify", at("notify.yml")],
    ].flat(),
    { stdio: ["ignore", "pipe", "pipe"], env: environment() },
  );
  const log = createWriteStream(at("server.log"));
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  try {
    const addresses = await ready(child, at("ready.json"));
    const end = () => stop(child, folder).finally(mailbox.close);
    return { addresses, mails: folder, stop: end };
  } catch (error) {
    child.kill("SIGKILL");
    mailbox.close();
    const last = readFileSync(at("server.log"), "utf8").slice(-2000);
    throw new Error(`${String(error)}\nits last words:\n${last}`, { cause: error });
  }
}

/** The developer's own settings are none of the tests'. */
function environment(): NodeJS.ProcessEnv {
  const settings = Object.entries(process.env).filter(([name]) => !name.startsWith("WATCHKEEPER_"));
  return Object.fromEntries(settings);
}

async function ready(child: ChildProcess, file: string): Promise<Addresses> {
  const deadline = Date.now() + START_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`the server ended with code ${child.exitCode}`);
    if (existsSync(file)) {
      const text = readFileSync(file, "utf8");
      if (text !== "") return JSON.parse(text) as Addresses;
    }
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error(`the server was not ready within ${START_MS / 1000} s`);
}

async function stop(child: ChildProcess, folder: string): Promise<void> {
  const ended = new Promise<number | null>((end) => child.once("exit", (code) => end(code)));
  child.kill("SIGTERM");
  const kill = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  const code = child.exitCode ?? (await ended);
  clearTimeout(kill);
  if (code !== 0) throw new Error(`the server ended with ${code}; see ${join(folder, "server.log")}`);
  rmSync(folder, { recursive: true });
}
