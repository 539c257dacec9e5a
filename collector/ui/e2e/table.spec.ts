// The table: its columns, finding among rows, and very many rows.
import { sendLogs, type SentLog } from "./otlp";
import { expect, logsUrl, param, rows, test, total } from "./fixtures";
import { FAILURES, failingRange } from "./scenario";

const heads = "[role=columnheader]";

test("columns are added, moved, resized and removed, and live in the URL", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "severity:error", failingRange(scenario.start)));
  const fields = page.getByRole("complementary", { name: "Fields" });
  await fields.getByText("error.type").hover();
  await fields.getByRole("button", { name: "Column error.type" }).click();
  await expect(page.locator(heads)).toHaveText(["Time", "Level", "Service", "error.type", "Message"]);
  await expect(rows(page).first()).toContainText("sqlx::Error");
  await rows(page).first().click();
  const drawer = page.getByRole("complementary", { name: "Record" });
  await drawer.getByText("http.route").hover();
  await drawer.getByRole("button", { name: "Column http.route" }).click();
  await drawer.getByRole("button", { name: "Close" }).click();

  const head = (name: string) => page.locator(heads).filter({ hasText: name });
  await head("http.route").dragTo(head("Service"));
  await expect(page.locator(heads)).toHaveText(["Time", "Level", "http.route", "Service", "error.type", "Message"]);
  await head("Service").getByRole("button").click();
  await page.getByRole("button", { name: "Remove column" }).click();
  await expect(page.locator(heads)).toHaveText(["Time", "Level", "http.route", "error.type", "Message"]);

  const before = (await head("http.route").boundingBox())?.width ?? 0;
  const edge = await page.getByTestId("edge-http.route").boundingBox();
  if (edge === null) throw new Error("no edge");
  await page.mouse.move(edge.x + 3, edge.y + 5);
  await page.mouse.down();
  await page.mouse.move(edge.x + 83, edge.y + 5, { steps: 4 });
  await page.mouse.up();
  await expect.poll(async () => (await head("http.route").boundingBox())?.width).toBe(before + 80);
  expect(param(page, "columns")).toBe(`severity,http.route~${before + 80},error.type,body`);
  await page.reload();
  await expect(page.locator(heads)).toHaveText(["Time", "Level", "http.route", "error.type", "Message"]);
  await page.goBack();
  await expect(page.locator(heads)).toHaveText(["Time", "Level", "http.route", "Service", "error.type", "Message"]);
});

test("find goes through the loaded rows that show the text", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "severity:error OR naïve OR odd"));
  await expect(total(page)).toHaveText(`${FAILURES + 2} records`);
  await page.keyboard.press("Control+f");
  const bar = page.getByRole("search", { name: "Find in the rows" });
  await bar.getByRole("textbox").fill("RETRIED=true");
  await expect(bar).toContainText(`${FAILURES / 2}`);
  await page.keyboard.press("Enter");
  await expect(bar).toContainText(`1 of ${FAILURES / 2}`);
  const selected = page.locator("[role=row][aria-selected=true]");
  await expect(selected.locator("mark")).toHaveText("retried=true");
  await page.keyboard.press("Shift+Enter");
  await expect(bar).toContainText(`${FAILURES / 2} of ${FAILURES / 2}`);
  await bar.getByRole("textbox").fill("NAÏVE");
  await page.keyboard.press("Enter");
  await expect(selected).toContainText("naïve café");
  await bar.getByRole("textbox").fill("nowhere to be seen");
  await expect(bar).toContainText("none");
  await page.keyboard.press("Escape");
  await expect(bar).toHaveCount(0);
});

test("a level that only the text states is found, shown and counted", async ({ page, scenario }) => {
  const sent = (body: string): SentLog => ({ time: Date.now() - 1000, severity: 0, body, service: "plain-text" });
  await sendLogs(scenario.otlp, [sent("[ERROR] payment refused"), sent("level=warn slow"), sent("no error was found")]);
  const link = (query: string) => `/ui/logs?q=${encodeURIComponent(query)}`;
  await page.goto(link("service:plain-text"));
  await expect(rows(page)).toHaveCount(3);
  const levels = page.locator("[role=rowgroup] [role=row][data-level]");
  const shown = await levels.evaluateAll((found) => found.map((row) => row.getAttribute("data-level")));
  expect(shown.sort()).toEqual(["error", "unset", "warn"]);
  await page.goto(link("service:plain-text severity:>=error"));
  await expect(rows(page)).toHaveCount(1);
  await rows(page).first().click();
  const drawer = page.getByRole("complementary", { name: "Record" });
  await expect(drawer).toContainText("error by its text (sent: 0)");
});

test("rows wrap and stand further apart when asked", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "severity:error", failingRange(scenario.start)));
  const height = async () => (await rows(page).first().boundingBox())?.height;
  expect(await height()).toBe(22);
  await page.getByRole("button", { name: "Roomy rows" }).click();
  await expect.poll(height).toBe(30);
  expect(param(page, "density")).toBe("roomy");
  await page.setViewportSize({ width: 900, height: 700 });
  await page.getByRole("button", { name: "Wrap" }).click();
  await expect.poll(height).toBeGreaterThan(35);
});

test("the loading of more can be stopped and continued", async ({ page, scenario }) => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((go) => (release = go));
  await page.route("**/api/v1/logs/search", async (route) => {
    const more = (route.request().postDataJSON() as { cursor?: string }).cursor !== undefined;
    if (more) await held;
    await route.continue().catch(() => undefined);
  });
  await page.goto(logsUrl(scenario, ""));
  await expect(rows(page).first()).toBeVisible();
  const grid = page.getByRole("grid");
  await grid.evaluate((element) => element.scrollTo({ top: element.scrollHeight }));
  await grid.getByRole("button", { name: "Stop" }).click();
  await expect(grid).toContainText("Stopped: there are more records than the 200 loaded.");
  release();
  await grid.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByTestId("stats")).toContainText("1,200 loaded");
});

test("a hundred thousand rows load while scrolling; the page holds only those in sight", async ({ page, scenario }) => {
  test.setTimeout(240_000);
  const count = 100_000;
  const batch = 5000;
  const first = scenario.start - 3 * 3_600_000;
  const flood = (at: number): SentLog => ({ time: first + at, severity: 9, body: `flood ${at}`, service: "flood" });
  for (let at = 0; at < count; at += batch) {
    await sendLogs(scenario.otlp, Array.from({ length: batch }, (_, i) => flood(at + i)));
  }
  await page.goto(logsUrl(scenario, "service:flood", { from: first, to: first + count }));
  await expect(total(page)).toHaveText("100,000 records");
  const grid = page.getByRole("grid");
  const all = page.getByTestId("stats").filter({ hasText: "100,000 loaded" });
  const nodes = () => page.evaluate(() => document.querySelectorAll("*").length);
  await expect
    .poll(
      async () => {
        await grid.evaluate((element) => element.scrollTo({ top: element.scrollHeight }));
        return all.count();
      },
      { intervals: [20], timeout: 200_000 },
    )
    .toBe(1);
  await grid.evaluate((element) => element.scrollTo({ top: element.scrollHeight }));
  await expect(rows(page).last()).toContainText(/flood 0$/);
  await expect(grid).toContainText("No more records in this time range.");
  await expect(grid).toHaveAttribute("aria-rowcount", String(count + 1));
  expect(await rows(page).count()).toBeLessThan(120);
  expect(await nodes()).toBeLessThan(3000);
  await grid.evaluate((element) => element.scrollTo({ top: 0 }));
  await expect(rows(page).first()).toContainText(`flood ${count - 1}`);
  await page.keyboard.press("Control+f");
  await page.getByLabel("Find in the loaded rows").fill("flood 77777");
  await page.keyboard.press("Enter");
  await expect(page.locator("[role=row][aria-selected=true]")).toContainText("flood 77777");
});
