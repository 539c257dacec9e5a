// The tree of a trace, what the waterfall draws of it, and the addresses of traces.
import { describe, expect, test } from "vitest";
import type { Span } from "../api/traces";
import { ancestors, barOf, extent, ownBars, shownInstead, shownNodes, ticks } from "./layout";
import { logsNear, logsOfSpan, logsOfTrace } from "./logsLink";
import { highlighted, nextAmong } from "./match";
import { problemText } from "./problems";
import { idInPath, readState, readTrace, traceUrl } from "./state";
import { buildTree, gaps, unixNanos, type TraceTree } from "./tree";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

/** A span named after its id, from `start` to `end` in milliseconds after some instant. */
function span(id: string, parent: string | null, start: number, end: number, more: Partial<Span> = {}): Span {
  const at = (ms: number) => `2026-03-04T05:00:0${(ms / 1000).toFixed(9)}Z`;
  return {
    id: `row-${id}`,
    trace_id: TRACE,
    span_id: id,
    parent_span_id: parent,
    trace_state: "",
    name: id,
    kind: "internal",
    start: at(start),
    end: at(end),
    duration_ns: String((end - start) * 1e6),
    status: { code: "unset", message: "" },
    service: "api",
    resource: {},
    scope: {},
    attributes: {},
    events: [],
    links: [],
    ...more,
  };
}

function tree(...spans: Span[]): TraceTree {
  const built = buildTree(spans);
  if (built === undefined) throw new Error("no tree");
  return built;
}

/** `a(b c(d))`: each span with those below it. */
function text({ nodes }: TraceTree): string {
  return nodes.map(({ depth, key, problem }) => `${"  ".repeat(depth)}${key}${problem === undefined ? "" : ` ${problem}`}`).join("\n");
}

const named = ({ nodes }: TraceTree, key: string) => {
  const node = nodes.find((other) => other.key === key);
  if (node === undefined) throw new Error(`no span ${key}`);
  return node;
};

describe("times", () => {
  test.each([
    ["1970-01-01T00:00:01.000000001Z", 1_000_000_001n],
    ["2026-03-04T05:06:07.123456789Z", BigInt(Date.UTC(2026, 2, 4, 5, 6, 7)) * 1_000_000n + 123_456_789n],
    ["2026-03-04T05:06:07Z", BigInt(Date.UTC(2026, 2, 4, 5, 6, 7)) * 1_000_000n],
    ["nonsense", 0n],
  ])("%s is exact to the nanosecond", (written, expected) => {
    expect(unixNanos(written)).toBe(expected);
  });
});

describe("the tree", () => {
  test("no spans are no tree", () => {
    expect(buildTree([])).toBeUndefined();
  });

  test("children follow their parent by start, however they arrived", () => {
    const built = tree(span("d", "c", 4, 5), span("c", "a", 3, 6), span("b", "a", 1, 2), span("a", null, 0, 10));
    expect(text(built)).toBe("a\n  b\n  c\n    d");
    expect([built.main.key, built.duration, built.orphans]).toEqual(["a", 10e6, 0]);
    expect([named(built, "a").below, named(built, "c").place]).toEqual([3, 1]);
  });

  test("a span whose parent is not there is a root and says so; the first root without a parent gives the name", () => {
    const built = tree(span("b", "gone", 0, 2), span("c", "b", 1, 2), span("a", null, 1, 10));
    expect(text(built)).toBe("b orphan\n  c\na");
    expect([built.main.key, built.orphans, built.roots.length]).toEqual(["a", 1, 2]);
    expect(problemText(named(built, "b"))).toBe("its parent gone is not stored");
  });

  test("only orphans: the first gives the name", () => {
    expect(tree(span("b", "x", 2, 3), span("a", "y", 1, 3)).main.key).toBe("a");
  });

  test("several roots stand side by side, by start", () => {
    expect(text(tree(span("b", null, 5, 6), span("c", "b", 5, 6), span("a", null, 0, 1)))).toBe("a\nb\n  c");
  });

  test("a ring of parents is cut at its first span; what hangs on it stays", () => {
    const built = tree(span("x", "c", 9, 9), span("a", "c", 3, 9), span("b", "a", 2, 9), span("c", "b", 4, 9));
    expect(text(built)).toBe("b cycle\n  c\n    a\n    x");
    expect(text(tree(span("a", "a", 0, 1)))).toBe("a cycle");
    expect(built.nodes).toHaveLength(4);
  });

  test("a child that starts before its parent keeps its time and says so, but for a clock's grain", () => {
    const built = tree(span("a", null, 5, 10), span("b", "a", 2, 6), span("c", "a", 4.5, 6));
    expect(text(built)).toBe("a\n  b early\n  c");
    expect([named(built, "b").start, named(built, "a").start, built.early]).toEqual([0, 3e6, 1]);
    expect(problemText(named(built, "b"))).toBe("it starts 3ms before its parent: their clocks differ");
  });

  test("a span that ends before it starts has no length", () => {
    const built = tree(span("a", null, 5, 1));
    expect([named(built, "a").end, built.duration]).toEqual([0, 0]);
  });

  test("a span received twice is shown once", () => {
    const built = tree(span("a", null, 0, 1), { ...span("a", null, 0, 1), id: "row-again" });
    expect([built.nodes.length, built.repeated]).toEqual([1, 1]);
  });

  test("two spans under one id are both shown; children go to the one of their service", () => {
    const built = tree(
      span("a", null, 0, 9, { kind: "client", service: "web" }),
      { ...span("a", null, 1, 8, { kind: "server", service: "api" }), id: "row-server" },
      span("b", "a", 2, 3, { service: "api" }),
    );
    expect(text(built)).toBe("a\nrow-server\n  b");
  });

  test("services in the order of the tree, with what failed", () => {
    const failed = { status: { code: "error" as const, message: "no" } };
    const built = tree(span("a", null, 0, 9), span("b", "a", 1, 2, { service: "db", ...failed }), span("c", "b", 1, 2, failed));
    expect(built.services).toEqual([
      { name: "api", spans: 2, errors: 1 },
      { name: "db", spans: 1, errors: 1 },
    ]);
    expect([built.errors, named(built, "a").errorsBelow]).toEqual([2, 2]);
  });

  test("a chain of 10,000 spans is no problem", () => {
    const chain = Array.from({ length: 10_000 }, (_, n) => span(`s${n}`, n === 0 ? null : `s${n - 1}`, 0, 1));
    const built = tree(...chain.reverse());
    expect([built.nodes.length, built.nodes.at(-1)?.depth, built.roots[0]?.below]).toEqual([10_000, 9_999, 9_999]);
  });
});

describe("own time", () => {
  test("what children do not cover, also where they overlap, leave or outlive the span", () => {
    const whole = { start: 10, end: 20 };
    expect(gaps(whole, [])).toEqual([whole]);
    expect(gaps(whole, [{ start: 5, end: 12 }, { start: 11, end: 14 }, { start: 18, end: 30 }])).toEqual([{ start: 14, end: 18 }]);
    expect(gaps(whole, [{ start: 0, end: 40 }])).toEqual([]);
    expect(gaps(whole, [{ start: 30, end: 40 }])).toEqual([whole]);
  });

  test("is summed and drawn", () => {
    const built = tree(span("a", null, 0, 100), span("b", "a", 10, 60));
    const a = named(built, "a");
    expect(a.ownTime).toBe(50e6);
    expect(ownBars(a, { start: 0, end: built.duration })).toEqual([
      { left: 60, width: 40 },
      { left: 0, width: 10 },
    ]);
  });
});

describe("layout", () => {
  const built = tree(span("a", null, 0, 10), span("b", "a", 1, 4), span("c", "b", 2, 14), span("d", "a", 5, 6));
  const keys = (folded: string[]) => shownNodes(built, new Set(folded)).map(({ key }) => key);

  test("folded spans hide what is below them", () => {
    expect(keys([])).toEqual(["a", "b", "c", "d"]);
    expect(keys(["b"])).toEqual(["a", "b", "d"]);
    expect(keys(["a", "b"])).toEqual(["a"]);
    expect(shownInstead(named(built, "c"), new Set(["a", "b"])).key).toBe("a");
    expect(shownInstead(named(built, "d"), new Set(["b"])).key).toBe("d");
    expect(ancestors(named(built, "c")).map(({ key }) => key)).toEqual(["b", "a"]);
  });

  test("a span's extent is its own and that of all below it", () => {
    expect(extent(built, named(built, "b"))).toEqual({ start: 1e6, end: 14e6 });
  });

  test("bars are cut at the axis' ends, and gone outside of it", () => {
    const axis = { start: 100, end: 200 };
    expect(barOf({ start: 50, end: 150 }, axis)).toEqual({ left: 0, width: 50 });
    expect(barOf({ start: 150, end: 150 }, axis)).toEqual({ left: 50, width: 0 });
    expect(barOf({ start: 0, end: 99 }, axis)).toBeUndefined();
    expect(barOf({ start: 0, end: 0 }, { start: 0, end: 0 })).toEqual({ left: 0, width: 0 });
  });

  test.each([
    [0, 95e6, 5, [0, 20e6, 40e6, 60e6, 80e6]],
    [0, 90e9, 4, [0, 30e9, 60e9]],
    [130, 160, 3, [130, 140, 150]],
    [0, 0, 4, []],
  ])("ticks from %d to %d ns are round", (start, end, most, expected) => {
    expect(ticks({ start, end }, most).map(({ at }) => at)).toEqual(expected);
  });
});

describe("highlighting", () => {
  const built = tree(
    span("a", null, 0, 9, { name: "GET /orders", attributes: { "http.route": "/orders", tries: [1, 2] } }),
    span("b", "a", 1, 2, { service: "db", events: [{ timestamp: "", name: "exception", attributes: { "exception.type": "Timeout" } }] }),
    span("c", "a", 3, 4, { service: "db", status: { code: "error", message: "broken pipe" } }),
  );
  const found = (words: string, service?: string) => {
    const nodes = highlighted(built, { text: words, service });
    return nodes === undefined ? undefined : [...nodes].map(({ key }) => key).join("");
  };

  test.each([
    ["get orders", "a"],
    ["http.route=/orders", "a"],
    ["TRIES=[1,2]", "a"],
    ["timeout", "b"],
    ["status=error pipe", "c"],
    ["nothing", ""],
    ["  ", undefined],
  ])("%s: %s", (words, expected) => {
    expect(found(words)).toBe(expected);
  });

  test("by service, alone and with words", () => {
    expect([found("", "db"), found("timeout", "db"), found("timeout", "api")]).toEqual(["bc", "b", ""]);
  });

  test("going on goes round the end", () => {
    const [a, b, c] = built.nodes;
    const inDb = (node: (typeof built.nodes)[number]) => node.span.service === "db";
    expect(nextAmong(built, inDb, a, 1)).toBe(b);
    expect(nextAmong(built, inDb, c, 1)).toBe(b);
    expect(nextAmong(built, inDb, a, -1)).toBe(c);
    expect(nextAmong(built, () => false, a, 1)).toBeUndefined();
  });
});

describe("addresses", () => {
  test.each([
    [TRACE, TRACE],
    [` ${TRACE.toUpperCase()}\n`, TRACE],
    ["af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"],
    ["4bf92f35-77b3-4da6-a3ce-929d0e0e4736", TRACE],
    [`trace_id:${TRACE}`, TRACE],
    [`"traceId": "${TRACE}",`, TRACE],
    [`http://x/ui/traces/${TRACE}?q=a`, TRACE],
    ["", undefined],
    ["0000", undefined],
    ["not a trace", undefined],
    [`${TRACE}0`, undefined],
  ])("%s names the trace %s", (written, expected) => {
    expect(readTrace(written)?.id).toBe(expected);
  });

  test("a traceparent header and an address name a span too", () => {
    expect(readTrace(`traceparent: 00-${TRACE}-00f067aa0ba902b7-01`)).toEqual({ id: TRACE, span: "00f067aa0ba902b7" });
    expect(readTrace(`http://x/ui/traces/${TRACE}?q=a&span=00f067aa0ba902b7`)?.span).toBe("00f067aa0ba902b7");
  });

  test("the state survives the way through the URL", () => {
    const state = { span: "b7", zoom: "a", text: "a&b c", service: "", at: Date.UTC(2026, 0, 2) };
    const url = new URL(traceUrl(TRACE, state), "http://x");
    expect(readState(url.search)).toEqual(state);
    expect(idInPath(url.pathname)).toBe(TRACE);
    expect(traceUrl(TRACE)).toBe(`/ui/traces/${TRACE}`);
    expect(idInPath(traceUrl("no/id %"))).toBe("no/id %");
    expect([idInPath("/ui/traces/%"), idInPath("/ui/traces/"), idInPath("/ui/traces")]).toEqual(["%", "", ""]);
  });

  const answer = {
    trace_id: TRACE,
    spans: [],
    logs: { query: `trace_id:${TRACE}`, start: "2026-03-04T05:00:00.123456789Z", end: "2026-03-04T05:10:00.123456789Z" },
  };
  const params = (link: string) => Object.fromEntries(new URL(link, "http://x").searchParams);

  test("the records of a trace and of a span, where the server says", () => {
    const times = { from: "2026-03-04T05:00:00.123Z", to: "2026-03-04T05:10:00.124Z", order: "oldest" };
    expect(params(logsOfTrace(answer))).toEqual({ q: `trace_id:${TRACE}`, ...times });
    expect(params(logsOfSpan(answer, "b7"))).toEqual({ q: `trace_id:${TRACE} AND span_id:b7`, ...times });
  });

  test("the records of a trace without spans: an hour around, or the last day", () => {
    const around = params(logsNear(TRACE, Date.UTC(2026, 2, 4, 5)));
    expect([around.from, around.to]).toEqual(["2026-03-04T04:00:00.000Z", "2026-03-04T06:00:00.000Z"]);
    expect(params(logsNear(TRACE, undefined))).toEqual({ q: `trace_id:${TRACE}`, from: "now-24h", to: "now", order: "oldest" });
  });
});
