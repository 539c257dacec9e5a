// The Metrics page over metrics sent by OTLP: writing queries, the graph, the table.
import type { Page } from "@playwright/test";
import { expect, metricsUrl, param, rows, test, total } from "./fixtures";
import { GAP, ROUTES, SERIES } from "./metricsScenario";
import { FAILING_TRACE } from "./scenario";

const REQUESTS = "http_server_requests_total";
const query = (page: Page, name: string) => page.getByRole("textbox", { name: `Query ${name}`, exact: true });
const legend = (page: Page) => page.getByRole("region", { name: "Legend" });
const series = (page: Page) => legend(page).locator("tbody tr");
const graph = (page: Page) => page.getByTestId("graph");

test("metrics and labels are offered while one writes, and Enter draws the query", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, []));
  await query(page, "A").click();
  await page.keyboard.type("http_server_requests");
  await expect(page.getByRole("option", { name: new RegExp(REQUESTS) })).toBeVisible();
  await page.keyboard.press("Tab");
  await page.keyboard.type("{http_rou");
  await expect(page.getByRole("option", { name: "http_route" })).toBeVisible();
  await page.keyboard.press("Tab");
  await page.keyboard.type('="/api/v1/log');
  await expect(page.getByRole("option", { name: ROUTES[0] })).toBeVisible();
  await page.keyboard.press("Tab");
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await expect(series(page)).toHaveCount(2);
  expect(param(page, "q")).toBe(`${REQUESTS}{http_route="${ROUTES[0]}"}`);
});

test("Shift+Enter begins a line, and an older query comes back", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, []));
  await query(page, "A").click();
  await page.keyboard.type("1");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("+ 1");
  await page.keyboard.press("Enter");
  await expect(series(page)).toHaveCount(1);
  expect(param(page, "q")).toBe("1\n+ 1");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("2");
  await page.keyboard.press("Enter");
  await expect.poll(() => param(page, "q")).toBe("2");
  await page.keyboard.press("Control+ArrowUp");
  await expect(query(page, "A")).toContainText("+ 1");
});

test("the server's error is underlined where it lies", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, [`sum(${REQUESTS}) +`]));
  await expect(page.getByRole("alert").filter({ hasText: "at character" })).toBeVisible();
  await expect(page.locator(".q-error")).toHaveCount(1);
});

test("a wrong use of a function is remarked upon, and the answer is shown all the same", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, ["rate(process_memory_usage_bytes[1m])"]));
  await expect(page.getByRole("listitem").filter({ hasText: "counter" }).first()).toBeVisible();
  await expect(series(page)).toHaveCount(1);
});

test("several queries: one more, a copy, one left out, one removed", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, [`sum(${REQUESTS})`, "process_memory_usage_bytes"]));
  await expect(series(page)).toHaveCount(2);
  await page.getByRole("button", { name: "Run query A" }).click();
  await expect(series(page)).toHaveCount(1);
  expect(param(page, "off")).toBe("A");
  await page.getByRole("button", { name: "Run query A" }).click();
  await page.getByRole("button", { name: "Duplicate query B" }).click();
  await expect(query(page, "C")).toContainText("process_memory_usage_bytes");
  await page.getByRole("button", { name: "Remove query A" }).click();
  await expect(query(page, "C")).toHaveCount(0);
  await expect(query(page, "A")).toContainText("process_memory_usage_bytes");
  await page.getByLabel("Legend of query A").fill("memory of {{job}}");
  await page.keyboard.press("Enter");
  await expect(series(page).first()).toContainText("memory of task-api");
});

test("the legend shows values, sorts by them, and isolates a series", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, [REQUESTS]));
  await expect(series(page)).toHaveCount(SERIES);
  await legend(page).getByRole("button", { name: "max" }).click();
  await expect(series(page).first()).toContainText(ROUTES[2]);
  await series(page).first().getByRole("button").click();
  await expect(legend(page).locator("[data-shown=true]")).toHaveCount(1);
  await series(page).nth(1).getByRole("button").click({ modifiers: ["Control"] });
  await expect(legend(page).locator("[data-shown=true]")).toHaveCount(2);
  await series(page).first().getByRole("button").click();
  await series(page).first().getByRole("button").click();
  await expect(legend(page).locator("[data-shown=false]")).toHaveCount(0);
});

test("dragging zooms, and the way back is one key", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, [REQUESTS]));
  await expect(series(page)).toHaveCount(SERIES);
  const before = { from: param(page, "from"), to: param(page, "to") };
  const box = await page.locator(".u-over").boundingBox();
  if (box === null) throw new Error("there is no graph");
  await page.mouse.move(box.x + box.width * 0.25, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 110, { steps: 5 });
  await page.mouse.up();
  await expect.poll(() => param(page, "from")).not.toBe(before.from);
  const length = Date.parse(param(page, "to") ?? "") - Date.parse(param(page, "from") ?? "");
  expect(Math.abs(length - 150_000)).toBeLessThan(5000);
  await expect(page.getByRole("button", { name: "Undo zoom" })).toBeVisible();
  await page.keyboard.press("u");
  await expect.poll(() => param(page, "from")).toBe(before.from);
  expect(param(page, "to")).toBe(before.to);
});

test("pointing tells the values, the highest first; a held point leads to the logs of its service", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, [`sum by (job, http_route) (${REQUESTS})`]));
  await expect(series(page)).toHaveCount(ROUTES.length);
  await page.locator(".u-over").hover();
  const told = graph(page).getByRole("status").getByRole("listitem");
  await expect(told).toHaveCount(ROUTES.length);
  await expect(told.first()).toContainText(ROUTES[2]);
  await expect(told.last()).toContainText(ROUTES[0]);
  await page.locator(".u-over").click();
  const held = page.getByRole("dialog", { name: "Values at this time" });
  await held.getByRole("link", { name: "Logs around this time" }).click();
  await expect(page).toHaveURL(/\/ui\/logs/);
  expect(param(page, "q")).toBe("service:task-api");
  await expect(rows(page).first()).toBeVisible();
});

test("a gap stays a gap", async ({ page, scenario }) => {
  const from = new Date(scenario.start + GAP.from + 15_000).toISOString();
  const to = new Date(scenario.start + GAP.to - 15_000).toISOString();
  await page.goto(metricsUrl(scenario, ["last_over_time(process_memory_usage_bytes[10s])"], { from, to, step: "5s" }));
  await expect(page.getByRole("heading", { name: "No series found" })).toBeVisible();
});

test("step, drawing, scale and unit live in the URL and survive a reload", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, [REQUESTS]));
  await page.getByLabel("Step").fill("30s");
  await page.keyboard.press("Enter");
  await page.getByLabel("Unit").selectOption("bytes");
  await page.getByRole("button", { name: "Log", exact: true }).click();
  await page.getByLabel("Drawn as").selectOption("points");
  await expect.poll(() => ["step", "unit", "scale", "draw"].map((name) => param(page, name))).toEqual(["30s", "bytes", "log", "points"]);
  await page.reload();
  await expect(legend(page)).toContainText("B");
  await expect(page.getByLabel("Step")).toHaveValue("30s");
  await page.goBack();
  await expect(page.getByLabel("Drawn as")).toHaveValue("lines");
});

test("too small a step is refused with one that works", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, [REQUESTS], { step: "1ms" }));
  await expect(page.getByRole("alert").filter({ hasText: "11,000 points" })).toBeVisible();
  await expect(page.getByTestId("stats")).toHaveText("not run");
});

test("the table sorts and is copied as CSV", async ({ page, scenario, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(metricsUrl(scenario, [REQUESTS]));
  await page.getByRole("tab", { name: "Table" }).click();
  const table = page.getByRole("region", { name: "Values" });
  await expect(table.locator("tbody tr")).toHaveCount(SERIES);
  await table.getByRole("button", { name: "value" }).click();
  await expect(table.locator("tbody tr").first()).toContainText(ROUTES[2]);
  await page.getByRole("button", { name: "Copy as CSV" }).click();
  const text = await page.evaluate(() => navigator.clipboard.readText());
  expect(text.split("\r\n")).toHaveLength(1 + SERIES);
  expect(text.split("\r\n")[0]).toContain("http_response_status_code,http_route");
});

test("in a narrow window the table scrolls, its words stay whole", async ({ page, scenario }) => {
  await page.setViewportSize({ width: 640, height: 700 });
  await page.goto(metricsUrl(scenario, [REQUESTS], { view: "table" }));
  const first = page.getByRole("region", { name: "Values" }).locator("tbody tr").first();
  await expect(first).toBeVisible();
  expect((await first.boundingBox())?.height).toBeLessThan(30);
});

test("native histograms have a table of buckets and are not drawn", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, ["db_client_operation_duration_seconds"]));
  await page.getByRole("button", { name: "Show the table" }).click();
  await page.getByText(/values, sum/).click();
  await expect(page.getByText("(1, 2]")).toBeVisible();
});

test("an exemplar leads to its trace, and from there to the records", async ({ page, scenario }) => {
  const p95 = "histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket[1m])))";
  await page.goto(metricsUrl(scenario, [p95]));
  await page.getByRole("button", { name: "Exemplars" }).click();
  await page.getByRole("link", { name: /Exemplar of 400 ms/ }).first().click();
  await expect(page).toHaveURL(new RegExp(`/ui/traces/${FAILING_TRACE}`));
  await expect(page.getByRole("row", { selected: true })).toContainText("GET /api/v1/tasks/{id}");
  await page.getByRole("link", { name: "Logs of this trace" }).click();
  expect(param(page, "q")).toBe(`trace_id:${FAILING_TRACE}`);
  await expect(total(page)).toHaveText("3 records");
});

test("an exemplar whose value the axis does not reach says so", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, ['http_server_request_duration_seconds_bucket{le="0.5"} + 1e4'], { exemplars: "1" }));
  await expect(page.getByRole("link", { name: /Exemplar of 400 ms, below the axis: trace/ }).first()).toBeVisible();
});

test("a query is laid out", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, [`sum(rate(${REQUESTS}[1m]))by(job)`]));
  await page.getByRole("button", { name: "Format query A" }).click();
  await expect(query(page, "A")).toContainText("sum by (job) (");
});

test("the expression of a rule is shown as a graph", async ({ page }) => {
  await page.goto("/ui/alerts");
  const rule = page.getByRole("article", { name: "demo:failures:double" });
  await rule.getByRole("button").first().click({ timeout: 25_000 });
  await rule.getByRole("link", { name: "Show as a graph" }).click();
  await expect(page).toHaveURL(/\/ui\/metrics/);
  await expect(query(page, "A")).toContainText("demo_failures * 2");
  await expect(series(page)).toHaveCount(1);
});
