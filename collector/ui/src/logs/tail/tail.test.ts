// The bounded buffer of the live tail, and its stream of events.
import { describe, expect, test } from "vitest";
import { EventReader } from "../../api/events";
import type { LogRecord } from "../../api/types";
import { arrive, EMPTY_BUFFER, leavesGap, MOST, release, unknown } from "./buffer";

function records(from: number, count: number): LogRecord[] {
  return Array.from({ length: count }, (_, at) => ({
    id: String(from + at),
    timestamp: "2026-01-02T03:04:05Z",
    severity_number: 9,
    detected_level: "info",
    body: "",
    resource: {},
    scope: {},
    attributes: {},
  }));
}

const ids = (list: readonly LogRecord[]) => list.map((record) => record.id).join(" ");

describe("buffer", () => {
  test("nothing under a reader who does not follow moves, and nothing that waits is lost", () => {
    const before = arrive(EMPTY_BUFFER, records(1, 2), true);
    const away = arrive(before, records(3, 2), false);
    expect(away.shown).toBe(before.shown);
    const back = release(away);
    expect([ids(back.shown), back.held.length]).toEqual(["1 2 3 4", 0]);
  });

  test("it keeps the newest and says how many had to go", () => {
    const full = arrive(arrive(EMPTY_BUFFER, records(0, MOST), true), records(MOST, 3), true);
    expect([full.shown.length, full.shown[0]?.id, full.discarded]).toEqual([MOST, "3", 3]);
    const away = arrive(full, records(MOST + 3, MOST + 5), false);
    expect([away.held.length, away.discarded]).toEqual([MOST, 8]);
    expect(ids(release(away).shown.slice(-1))).toBe(String(2 * MOST + 7));
  });

  test("a new connection's backlog adds only what is new; a backlog that does not reach back is a gap", () => {
    const before = arrive(EMPTY_BUFFER, records(1, 5), true);
    expect(ids(unknown(before, records(4, 4)))).toBe("6 7");
    expect(leavesGap(before, records(4, 1)[0])).toBe(false);
    expect(leavesGap(before, records(9, 1)[0])).toBe(true);
    expect(leavesGap(EMPTY_BUFFER, records(9, 1)[0])).toBe(false);
  });
});

test("events are whole, however the stream is cut", () => {
  const stream = ": hello\n\nevent: record\ndata: {\"a\":\ndata: 1}\n\n\r\nevent:dropped\r\ndata:2\r\n\r\ndata: x\n\nevent: record\ndata: unfinished";
  for (let size = 1; size < stream.length; size += 1) {
    const reader = new EventReader();
    const found = [];
    for (let at = 0; at < stream.length; at += size) found.push(...reader.push(stream.slice(at, at + size)));
    expect(found).toEqual([
      { event: "record", data: '{"a":\n1}' },
      { event: "dropped", data: "2" },
      { event: "message", data: "x" },
    ]);
  }
});
