// A mail server that takes every message and keeps it: what the on-call engineer receives.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";

export interface Mailbox {
  port: number;
  close: () => void;
}

/** Writes each message into a file of `folder`. */
export async function startMailbox(folder: string): Promise<Mailbox> {
  let count = 0;
  const server = createServer((socket) =>
    converse(socket, (message) => {
      count += 1;
      writeFileSync(join(folder, `${count}.eml`), message);
    }),
  );
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}

function converse(socket: Socket, keep: (message: string) => void): void {
  let received = "";
  let inMessage = false;
  const take = (end: string): string | undefined => {
    const at = received.indexOf(end);
    if (at < 0) return undefined;
    const taken = received.slice(0, at);
    received = received.slice(at + end.length);
    return taken;
  };
  socket.on("error", () => socket.destroy());
  socket.write("220 mailbox ESMTP\r\n");
  socket.on("data", (bytes) => {
    received += bytes.toString("utf8");
    for (;;) {
      const part = take(inMessage ? "\r\n.\r\n" : "\r\n");
      if (part === undefined) return;
      if (inMessage) keep(part);
      const data = !inMessage && /^DATA/i.test(part);
      if (/^QUIT/i.test(part) && !inMessage) socket.end("221 bye\r\n");
      else socket.write(data ? "354 go on\r\n" : "250 ok\r\n");
      inMessage = data;
    }
  });
}

/** The messages so far, with quoted-printable text undone. */
export function readMails(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".eml"))
    .map((name) => readFileSync(join(folder, name), "utf8").replace(/=\r?\n/g, ""))
    .map((text) => text.replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))));
}
