// The trace page over a trace and log records sent by OTLP.
import type { Page } from "@playwright/test";
import { expect, expectAccessible, logsUrl, param, rows as records, test, total } from "./fixtures";
import { sendLogs, sendSpans, SPAN_ID } from "./otlp";
import { FAILING_TRACE, failingRange } from "./scenario";
import { FAILING, LARGE, largeTrace, LINKED_TRACE, ROOT, SPANS } from "./traceScenario";

const TRACE = `/ui/traces/${FAILING_TRACE}`;
const grid = (page: Page) => page.getByRole("treegrid", { name: "Spans" });
const rows = (page: Page) => grid(page).locator("[role=row][aria-level]");
const row = (page: Page, name: string) => rows(page).filter({ has: page.getByText(name, { exact: true }) });
const details = (page: Page) => page.getByRole("complementary", { name: "Span" });
const active = (page: Page) => grid(page).locator("[data-active=true]");
const found = (page: Page) => page.getByRole("search", { name: "Highlight spans" }).getByRole("status");

test("from a log record to the span that wrote it, to the span's records, and back", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, `trace_id:${FAILING_TRACE}`, failingRange(scenario.start)));
  await records(page).first().click();
  const record = page.getByRole("complementary", { name: "Record" });
  await record.getByRole("link", { name: "Open trace" }).click();
  await expect(page).toHaveTitle("Trace 4bf92f35 · Watchkeeper");
  await expect(page.getByRole("heading", { name: ROOT })).toBeVisible();
  await expect(page.getByRole("link", { name: "Traces" })).toHaveAttribute("aria-current", "page");
  await expect(page.getByRole("row", { selected: true })).toContainText(FAILING);
  await expect(details(page).getByRole("heading", { name: FAILING })).toBeVisible();
  await details(page).getByRole("link", { name: "Logs of this span" }).click();
  await expect(total(page)).toHaveText("3 records");
  expect(param(page, "q")).toBe(`trace_id:${FAILING_TRACE} AND span_id:${SPAN_ID}`);
  await page.goBack();
  await expect(details(page)).toBeVisible();
  await page.goBack();
  await expect(record.getByRole("link", { name: "Open trace" })).toBeVisible();
});

test("the head says what the trace is, the notices what is odd about it", async ({ page }) => {
  await page.goto(TRACE);
  const facts = page.locator("header dl");
  await expect(facts).toContainText(`Spans${SPANS}`);
  await expect(facts).toContainText("Services4");
  await expect(facts).toContainText("Duration2.61s");
  await expect(facts).toContainText("Errors6");
  const main = page.getByRole("main");
  await expect(main).toContainText("1 span has a parent that is not stored");
  await expect(main).toContainText("1 span starts before its parent: clocks differ");
  await expect(main).toContainText("and 1 more root");
  await page.getByRole("button", { name: "Copy trace id" }).click();
  await expect(page.getByText("Trace id copied")).toBeVisible();
  await page.keyboard.press("e");
  await expect(active(page)).toContainText("GET task");
});

test("the waterfall is a tree grid for the keyboard", async ({ page }) => {
  await page.goto(TRACE);
  await expect(rows(page)).toHaveCount(SPANS);
  await expect(grid(page)).toHaveAttribute("aria-rowcount", String(SPANS + 1));
  await grid(page).focus();
  await expect(active(page)).toContainText(ROOT);
  await page.keyboard.press("ArrowDown");
  await expect(active(page)).toContainText("read session");
  await expect(active(page)).toHaveAttribute("aria-level", "2");
  await expect(active(page)).toHaveAttribute("aria-expanded", "true");
  expect(await active(page).getAttribute("id")).toBe(await grid(page).getAttribute("aria-activedescendant"));
  await page.keyboard.press("ArrowLeft");
  await expect(active(page)).toHaveAttribute("aria-expanded", "false");
  await expect(active(page)).toContainText("+1");
  await expect(rows(page)).toHaveCount(SPANS - 1);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await expect(active(page)).toContainText("GET session");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await expect(active(page)).toContainText(ROOT);
  await page.keyboard.press("End");
  await expect(active(page)).toContainText("tidy up");
  await page.keyboard.press("Home");
  await page.keyboard.press("Enter");
  await expect(details(page).getByRole("heading", { name: ROOT })).toBeVisible();
  await page.keyboard.press("ArrowDown");
  await expect(details(page).getByRole("heading", { name: "read session" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(details(page)).toBeHidden();
  await expect(active(page)).toContainText("read session");
});

test("folding everything leaves the roots, and is so again on the way back", async ({ page }) => {
  await page.goto(TRACE);
  await page.getByRole("button", { name: "Fold all", exact: true }).click();
  await expect(rows(page)).toHaveCount(2);
  await expect(row(page, ROOT)).toContainText("+10, 5 failed");
  await page.getByRole("link", { name: "Logs of this trace" }).click();
  await expect(total(page)).toHaveText("3 records");
  await page.goBack();
  await expect(rows(page)).toHaveCount(2);
  await page.getByRole("button", { name: "Unfold all" }).click();
  await expect(rows(page)).toHaveCount(SPANS);
});

test("a span's details: attributes, events, its exception, links to other traces, its parent", async ({ page }) => {
  await page.goto(TRACE);
  await row(page, FAILING).click();
  await expect(details(page)).toContainText("Failed: request failed");
  await expect(details(page)).toContainText("server");
  const attributes = details(page).getByRole("region", { name: "Attributes", exact: true });
  await expect(attributes).toContainText("http.response.status_code503");
  await expect(attributes).toContainText("[");
  await expect(details(page).getByRole("region", { name: "Events" })).toContainText("retry after 590ms");
  await expect(details(page).getByRole("region", { name: "Resource" })).toContainText("host.nametest-host");
  await row(page, "SELECT tasks").first().click();
  const events = details(page).getByRole("region", { name: "Events" });
  await expect(events).toContainText("sqlx::Error: connection refused");
  await expect(events.getByLabel("Stack trace")).toContainText("src/store.rs:41");
  await details(page).getByRole("button", { name: FAILING }).click();
  await details(page).getByRole("link", { name: "Another trace" }).click();
  await expect(page).toHaveURL(new RegExp(`/ui/traces/${LINKED_TRACE}`));
  await expect(page.getByRole("heading", { name: "No span of this trace is stored" })).toBeVisible();
});

test("in a narrow window the span is below the waterfall, which keeps its width", async ({ page }) => {
  await page.setViewportSize({ width: 800, height: 700 });
  await page.goto(TRACE);
  await grid(page).focus();
  await page.keyboard.press("Enter");
  await expect(details(page)).toBeVisible();
  expect((await grid(page).boundingBox())?.width).toBeGreaterThan(700);
  expect((await details(page).boundingBox())?.width).toBeGreaterThan(700);
});

test("spans that are out of place say why", async ({ page }) => {
  await page.goto(TRACE);
  await row(page, "tasks process").click();
  await expect(details(page)).toContainText("it starts 25ms before its parent: their clocks differ");
  await row(page, "tidy up").click();
  await expect(details(page)).toContainText("its parent 0000000000000063 is not stored");
});

test("a filter highlights spans, goes through them and lives in the URL", async ({ page }) => {
  await page.goto(TRACE);
  await expect(rows(page)).toHaveCount(SPANS);
  await page.keyboard.press("/");
  await page.keyboard.type("postgresql attempt=");
  await expect(found(page)).toHaveText(`3 of ${SPANS}`);
  await expect(grid(page).locator("[data-match=true]")).toHaveCount(3);
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await expect(active(page)).toContainText("95ms");
  expect(param(page, "q")).toBe("postgresql attempt=");
  await page.reload();
  await expect(found(page)).toHaveText(`3 of ${SPANS}`);
  await page.getByRole("button", { name: /^web/ }).click();
  await expect(found(page)).toHaveText(`0 of ${SPANS}`);
  await page.getByRole("searchbox", { name: "Highlight spans" }).fill("");
  await expect(found(page)).toHaveText(`4 of ${SPANS}`);
  expect(param(page, "service")).toBe("web");
});

test("the axis shows one span, and the whole trace again", async ({ page }) => {
  await page.goto(TRACE);
  await row(page, "read session").click();
  await details(page).getByRole("button", { name: "Zoom in" }).click();
  expect(param(page, "zoom")).toBe("0000000000000002");
  await expect(grid(page).getByText("40ms", { exact: true })).toBeVisible();
  await page.goBack();
  expect(param(page, "zoom")).toBeNull();
});

test("the records of a trace and of one of its spans are told apart", async ({ page, scenario }) => {
  const traceId = "00000000000000000000000000abc001";
  const start = scenario.start + 60_000;
  const of = { traceId, service: "task-worker" };
  await sendSpans(scenario.otlp, [
    { ...of, id: "00000000000000a1", name: "outer", start, duration: 50 },
    { ...of, id: "00000000000000a2", parent: "00000000000000a1", name: "inner", start: start + 10, duration: 20 },
  ]);
  await sendLogs(scenario.otlp, [
    { ...of, spanId: "00000000000000a1", time: start + 1, severity: 9, body: "from outside" },
    { ...of, spanId: "00000000000000a2", time: start + 11, severity: 9, body: "from inside" },
  ]);
  // Leading zeros may be left out.
  await page.goto("/ui/traces/abc001?span=00000000000000a2");
  await expect(page).toHaveURL(new RegExp(`/ui/traces/${traceId}`));
  await details(page).getByRole("link", { name: "Logs of this span" }).click();
  await expect(records(page)).toHaveCount(1);
  await expect(records(page)).toContainText("from inside");
  await page.goBack();
  await page.getByRole("link", { name: "Logs of this trace" }).click();
  await expect(records(page)).toHaveCount(2);
});

test("10,000 spans: only those in sight are in the page", async ({ page, scenario }) => {
  const traceId = "00000000000000000000000000abc002";
  const spans = largeTrace(traceId, scenario.start);
  for (let at = 0; at < spans.length; at += 2000) await sendSpans(scenario.otlp, spans.slice(at, at + 2000));
  await page.goto(`/ui/traces/${traceId}`);
  await expect(grid(page)).toHaveAttribute("aria-rowcount", (LARGE + 1).toString(), { timeout: 20_000 });
  expect(await rows(page).count()).toBeLessThan(80);
  await grid(page).focus();
  await page.keyboard.press("End");
  await expect(active(page)).toContainText("step 99.100");
  await expect(active(page)).toBeInViewport();
  await page.keyboard.press("/");
  await page.keyboard.type("step 42.7");
  await expect(found(page)).toHaveText(`11 of ${LARGE.toLocaleString("en")}`);
  await page.keyboard.press("Enter");
  await expect(active(page)).toContainText("step 42.7");
  await expect(active(page)).toBeInViewport();
});

test("a trace that is not stored says what may be, and leads to its records", async ({ page, scenario }) => {
  const traceId = "00000000000000000000000000abc003";
  const time = scenario.start + 30_000;
  await sendLogs(scenario.otlp, [{ time, severity: 9, body: "not sampled", service: "task-api", traceId }]);
  await page.goto(`/ui/traces/${traceId}?at=${new Date(time).toISOString()}`);
  await expect(page.getByRole("heading", { name: "No span of this trace is stored" })).toBeVisible();
  await page.getByRole("link", { name: "Logs of this trace" }).click();
  await expect(records(page)).toContainText("not sampled");
  await page.goBack();
  await sendSpans(scenario.otlp, [{ traceId, id: "00000000000000b1", name: "late", service: "task-api", start: time, duration: 5 }]);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("heading", { name: "late" })).toBeVisible();
});

test("what is no trace id says so, and takes another", async ({ page }) => {
  await page.goto("/ui/traces/not-a-trace");
  await expect(page.getByRole("heading", { name: "This is not a trace id" })).toBeVisible();
  await page.getByRole("textbox", { name: "Trace id" }).fill(`00-${FAILING_TRACE}-${SPAN_ID}-01`);
  await page.keyboard.press("Enter");
  await expect(details(page).getByRole("heading", { name: FAILING })).toBeVisible();
});

test("a server that fails is asked again", async ({ page }) => {
  await page.route("**/api/v1/traces/*", (route) => route.fulfill({ status: 503, json: { error: { code: "busy", message: "too many queries run" } } }));
  await page.goto(TRACE);
  await expect(page.getByRole("alert")).toContainText("too many queries run");
  await page.unroute("**/api/v1/traces/*");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(rows(page)).toHaveCount(SPANS);
});

test("a link to a span that is not there says so", async ({ page }) => {
  await page.goto(`${TRACE}?span=00000000000000ff`);
  await expect(page.getByRole("alert")).toContainText("00000000000000ff of this link is not among the trace's spans");
});

test("traces without an id: a box to paste one, and those looked at last", async ({ page }) => {
  await page.goto("/ui/logs");
  await page.getByRole("link", { name: "Traces" }).click();
  const box = page.getByRole("textbox", { name: "Trace id" });
  await expect(box).toBeFocused();
  await box.fill("my trace");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("“my trace” names no trace");
  await box.fill(`trace_id=${FAILING_TRACE}`);
  await page.getByRole("button", { name: "Open trace" }).click();
  await expect(rows(page)).toHaveCount(SPANS);
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await page.getByRole("link", { name: new RegExp(ROOT) }).click();
  await expect(rows(page)).toHaveCount(SPANS);
});

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme });

    test("axe finds nothing serious in a trace", async ({ page }) => {
      await page.goto(`${TRACE}?q=postgresql&span=${SPAN_ID}`);
      await expect(details(page)).toBeVisible();
      await expectAccessible(page);
      await row(page, "SELECT tasks").first().click();
      await expect(details(page).getByLabel("Stack trace")).toBeVisible();
      await expectAccessible(page);
    });

    test("axe finds nothing serious in a folded trace", async ({ page }) => {
      await page.goto(`${TRACE}?service=task-worker`);
      await page.getByRole("button", { name: "Fold all", exact: true }).click();
      await expect(rows(page)).toHaveCount(2);
      await expectAccessible(page);
    });

    test("axe finds nothing serious where there is no trace", async ({ page }) => {
      for (const address of ["/ui/traces", "/ui/traces/nothing", `/ui/traces/${LINKED_TRACE}`]) {
        await page.goto(address);
        await expect(page.getByRole("textbox", { name: "Trace id" })).toBeVisible();
        await expectAccessible(page);
      }
    });
  });
}
