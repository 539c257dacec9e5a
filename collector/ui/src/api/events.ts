// Server-sent events read with fetch: unlike EventSource, an answer that is an
// error keeps its message, and ending the stream is the caller's to decide.
import { ApiError, errorBody, reach } from "./client";

export interface ServerEvent {
  /** `message` when the server names none. */
  event: string;
  data: string;
}

/** Splits a stream of text into events; a rest without its empty line waits for more. */
export class EventReader {
  private rest = "";

  push(chunk: string): ServerEvent[] {
    // A carriage return at the end may be half of a line break.
    const text = (this.rest + chunk).replace(/\r\n/g, "\n");
    const blocks = text.split("\n\n");
    this.rest = blocks.pop() ?? "";
    return blocks.map(readEvent).filter((event) => event !== undefined);
  }
}

function readEvent(block: string): ServerEvent | undefined {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event = value;
    else if (name === "data") data.push(value);
  }
  return data.length === 0 ? undefined : { event, data: data.join("\n") };
}

/**
 * Calls `onOpen` when the server has accepted, then `onEvent` for each event,
 * until the stream ends. An error of the server is an `ApiError`.
 */
export async function readEvents(
  address: string,
  signal: AbortSignal,
  onOpen: () => void,
  onEvent: (event: ServerEvent) => void,
): Promise<void> {
  const response = await reach(address, { signal, headers: { accept: "text/event-stream" } });
  if (!response.ok) throw new ApiError(response.status, errorBody(response, await response.text()));
  if (response.body === null) return;
  onOpen();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const events = new EventReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const event of events.push(value)) onEvent(event);
  }
}
