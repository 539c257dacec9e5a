// Searching: results, links into the page, errors in their place, states.
import { expect, logsUrl, param, rows, runSearch, search, test, total } from "./fixtures";
import { FAILING_TRACE, FAILURES, failingRange, TOTAL } from "./scenario";
import { sendLogs } from "./otlp";

test("the addresses /, /ui and /ui/ lead to the logs, others to a page that says so", async ({ page }) => {
  for (const address of ["/", "/ui", "/ui/"]) {
    await page.goto(address);
    await expect(page).toHaveURL(/\/ui\/logs$/);
    await expect(page).toHaveTitle("Logs · Watchkeeper");
  }
  await page.goto("/ui/nowhere");
  await expect(page.getByRole("heading", { name: "There is no such page" })).toBeVisible();
  await page.getByRole("main").getByRole("link", { name: "Alerts" }).click();
  await expect(page).toHaveURL(/\/ui\/alerts$/);
});

test("an alert's link shows the failing requests and nothing else", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "service:task-api AND severity:>=error", failingRange(scenario.start)));
  await expect(total(page)).toHaveText(`${FAILURES} records`);
  await expect(rows(page).first()).toContainText("request failed: connection refused by the database");
  await expect(page.locator("[role=rowgroup] [data-level=info]")).toHaveCount(0);
  await expect(page.getByRole("button", { name: `error ${FAILURES}` })).toBeVisible();
  await expect(page.getByTestId("stats")).toContainText(`${FAILURES} loaded`);
});

test("typing a search and Enter runs it, and marks the words found", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, ""));
  await expect(total(page)).toHaveText(`${TOTAL.toLocaleString("en")} records`);
  await runSearch(page, '"connection refused" AND NOT retried:true');
  await expect(total(page)).toHaveText(`${FAILURES / 2} records`);
  await expect(rows(page).first().locator("mark")).toHaveText("connection refused");
  expect(param(page, "q")).toBe('"connection refused" AND NOT retried:true');
  await runSearch(page, "miss*");
  await expect(rows(page).first().locator("mark")).toHaveText("miss");
});

test("the line below the histogram says what the search cost", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "café"));
  await expect(total(page)).toHaveText("1 record");
  await expect(page.getByTestId("stats")).toHaveText(/1 loaded · \d+ of \d+ blocks scanned · [\d,]+ rows checked · [\d,]+ ms/);
});

test.describe("errors stand where they belong", () => {
  const cases = [
    { query: "größe AND", marked: "AND", says: "nothing after it" },
    { query: "(größe OR café", marked: "(", says: "has no" },
    { query: "größe severity:>=loud", marked: ">=loud", says: "severity" },
    { query: 'café "open', marked: '"open', says: "has no end" },
  ];
  for (const { query, marked, says } of cases) {
    test(query, async ({ page, scenario }) => {
      await page.goto(logsUrl(scenario, ""));
      await expect(rows(page).first()).toBeVisible();
      await runSearch(page, query);
      const alert = page.locator("#query-error");
      await expect(alert).toContainText(says);
      const text = await page.locator(".q-error").allTextContents();
      expect(text.join("")).toBe(marked);
      await expect(alert).toContainText(`at character ${query.indexOf(marked) + 1}`);
      await expect(page.getByText("The search was not understood")).toBeVisible();
      await runSearch(page, "café");
      await expect(alert).toBeEmpty();
      await expect(page.locator(".q-error")).toHaveCount(0);
      await expect(total(page)).toHaveText("1 record");
    });
  }
});

test("nothing found says where it looked and offers ways on", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "unfindable", failingRange(scenario.start)));
  await expect(page.getByRole("heading", { name: "No records found" })).toBeVisible();
  await expect(page.getByRole("main")).toContainText("(1m) matches unfindable");
  await page.getByRole("button", { name: "Clear the search" }).click();
  await expect(rows(page).first()).toBeVisible();
  expect(param(page, "q")).toBeNull();
});

test("an unreachable server is said so; what was loaded stays, marked as old", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "café"));
  await expect(rows(page)).toHaveCount(1);
  await page.route("**/api/v1/logs/**", (route) => route.abort());
  await page.getByRole("button", { name: "Later" }).click();
  await expect(page.getByRole("main")).toContainText("Out of date. cannot reach the server");
  await expect(rows(page)).toHaveCount(1);
  await runSearch(page, "other");
  await expect(page.getByRole("heading", { name: "The search failed" })).toBeVisible();
  await page.unroute("**/api/v1/logs/**");
  await page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("heading", { name: "No records found" })).toBeVisible();
});

test("in a narrow window the search has a line of its own", async ({ page, scenario }) => {
  await page.setViewportSize({ width: 800, height: 700 });
  await page.goto(logsUrl(scenario, "café"));
  await expect(rows(page)).toHaveCount(1);
  expect((await search(page).boundingBox())?.width).toBeGreaterThan(700);
});

test("a search can be cancelled, and run again", async ({ page, scenario }) => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((go) => (release = go));
  await page.route("**/api/v1/logs/search", async (route) => {
    await held;
    await route.continue().catch(() => undefined);
  });
  await page.goto(logsUrl(scenario, "café"));
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("heading", { name: "Cancelled" })).toBeVisible();
  release();
  await page.getByRole("button", { name: "Run again" }).click();
  await expect(rows(page)).toHaveCount(1);
});

test("times that stand still are asked about again by r and by Run", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "severity:error"));
  await expect(total(page)).toBeVisible();
  const asked = () => Promise.all([page.waitForRequest("**/logs/search"), page.waitForRequest("**/logs/histogram")]);
  const byKey = asked();
  await page.keyboard.press("r");
  await byKey;
  await expect(page.getByRole("button", { name: "Run" })).toBeVisible();
  const byRun = asked();
  await page.getByRole("button", { name: "Run" }).click();
  await byRun;
  await expect(rows(page).first()).toBeVisible();
});

test("refresh finds what has come since", async ({ page, scenario }) => {
  await page.goto("/ui/logs?q=service%3Alatecomer");
  await expect(page.getByRole("heading", { name: "No records found" })).toBeVisible();
  await sendLogs(scenario.otlp, [{ time: Date.now() - 1000, severity: 9, body: "here I am", service: "latecomer" }]);
  await page.keyboard.press("r");
  await expect(rows(page)).toHaveCount(1);
});

test("a record leads to everything of its trace", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, `trace_id:${FAILING_TRACE}`, failingRange(scenario.start)));
  await rows(page).first().click();
  await page.getByRole("link", { name: "Logs of this trace" }).click();
  await expect(total(page)).toHaveText("3 records");
  await expect(search(page)).toHaveText(`trace_id:${FAILING_TRACE}`);
  expect(param(page, "order")).toBe("oldest");
});
