// The live tail against the real server: records arrive while one watches.
import type { Page } from "@playwright/test";
import { sendLogs } from "./otlp";
import { expect, expectAccessible, param, rows, test } from "./fixtures";

let count = 0;

/** Sends records that no other test sees; their numbers go on. */
async function send(otlp: string, service: string, amount: number): Promise<number> {
  const from = count;
  count += amount;
  const logs = Array.from({ length: amount }, (_, i) => ({
    time: Date.now(),
    severity: 9,
    body: `arrival ${from + i}`,
    service,
  }));
  await sendLogs(otlp, logs);
  return count - 1;
}

test("records show up at the bottom as they arrive, only those that match", async ({ page, scenario }) => {
  await page.goto("/ui/logs?q=service%3Alive-a&view=live");
  await expect(page.getByText("Waiting for records that match.")).toBeVisible();
  await send(scenario.otlp, "live-other", 2);
  const last = await send(scenario.otlp, "live-a", 3);
  await expect(rows(page)).toHaveCount(3);
  await expect(rows(page).last()).toContainText(`arrival ${last}`);
  await expectAccessible(page);
  await page.getByRole("button", { name: "Clear" }).click();
  await expect(rows(page)).toHaveCount(0);
  const next = await send(scenario.otlp, "live-a", 1);
  await expect(rows(page)).toHaveCount(1);
  await rows(page).click();
  await expect(page.getByRole("complementary", { name: "Record" })).toContainText(`arrival ${next}`);
});

test("scrolling away holds new records back; the end or Resume brings them", async ({ page, scenario }) => {
  await page.goto("/ui/logs?q=service%3Alive-b&view=live");
  await expect(page.getByText("Waiting for records that match.")).toBeVisible();
  const last = await send(scenario.otlp, "live-b", 80);
  await expect(rows(page).last()).toContainText(`arrival ${last}`);
  await expect(rows(page).last()).toBeInViewport();
  const grid = page.getByRole("grid");
  await grid.hover();
  await page.mouse.wheel(0, -400);
  await expect(page.getByText("Paused while scrolled")).toBeVisible();
  const top = await grid.evaluate((element) => element.scrollTop);
  const newest = await send(scenario.otlp, "live-b", 5);
  const resume = page.getByRole("button", { name: "Resume: 5 new" });
  await expect(resume).toBeVisible();
  expect(await grid.evaluate((element) => element.scrollTop)).toBe(top);
  await resume.click();
  await expect(rows(page).last()).toContainText(`arrival ${newest}`);
  await expect(rows(page).last()).toBeInViewport();
  await expect(page.getByText("Live", { exact: true }).last()).toBeVisible();
});

test("marked text stays marked, and Pause holds until Resume", async ({ page, scenario }) => {
  await page.goto("/ui/logs?q=service%3Alive-c&view=live");
  await expect(page.getByText("Waiting for records that match.")).toBeVisible();
  await send(scenario.otlp, "live-c", 2);
  await expect(rows(page)).toHaveCount(2);
  await rows(page).first().getByText("arrival").dblclick({ position: { x: 12, y: 8 } });
  await expect(page.getByText("Paused while text is marked")).toBeVisible();
  await send(scenario.otlp, "live-c", 1);
  await expect(page.getByRole("button", { name: "Resume: 1 new" })).toBeVisible();
  expect(await page.evaluate(() => document.getSelection()?.toString().trim())).toBe("arrival");
  await page.getByRole("button", { name: "Resume: 1 new" }).click();
  await expect(rows(page)).toHaveCount(3);
  await page.getByRole("button", { name: "Pause" }).click();
  await send(scenario.otlp, "live-c", 4);
  await expect(page.getByRole("button", { name: "Resume: 4 new" })).toBeVisible();
  await expect(rows(page)).toHaveCount(3);
});

test("a lost connection is said, made again, and shows nothing twice", async ({ page, scenario }) => {
  const last = await send(scenario.otlp, "live-d", 3);
  const search = { start: "now-1h", end: "now", query: "service:live-d", order: "oldest" };
  const found = async () => {
    const answer = await page.request.post("/api/v1/logs/search", { data: search });
    return ((await answer.json()) as { records: object[] }).records;
  };
  await expect.poll(async () => (await found()).length).toBe(3);
  // The first connection ends after two records, the second is the server's own.
  const body = (await found()).slice(0, 2).map((record) => `event: record\ndata: ${JSON.stringify(record)}\n\n`);
  const again = await hold(page, { contentType: "text/event-stream", body: body.join("") });
  await page.goto("/ui/logs?q=service%3Alive-d&view=live");
  await expect(page.getByText("Connection lost: trying again")).toBeVisible();
  await expect(rows(page)).toHaveCount(2);
  again();
  await expect(rows(page)).toHaveCount(3);
  await expect(rows(page).last()).toContainText(`arrival ${last}`);
  await expect(page.getByTestId("tail-counts")).toHaveText("3 shown");
});

test("what the server dropped is said", async ({ page }) => {
  const body = 'event: dropped\ndata: {"count":1200,"since":"2026-01-02T03:04:05.000000000Z"}\n\n';
  await hold(page, { contentType: "text/event-stream", body });
  await page.goto("/ui/logs?view=live");
  await expect(page.getByTestId("tail-counts")).toContainText("1,200 dropped by the server");
});

/** Answers the first tail; those after it reach the server when what is returned is called. */
async function hold(page: Page, answer: { contentType: string; body: string }): Promise<() => void> {
  let release: () => void = () => undefined;
  const held = new Promise<void>((go) => (release = go));
  let answered = false;
  await page.route("**/api/v1/logs/tail?*", async (route) => {
    if (!answered) {
      answered = true;
      return route.fulfill(answer);
    }
    await held;
    return route.continue().catch(() => undefined);
  });
  return release;
}

test("a search that is none is marked in its place", async ({ page }) => {
  await page.goto("/ui/logs?view=live&q=a%20AND");
  await expect(page.locator("#query-error")).toContainText("AND");
  await expect(page.getByRole("heading", { name: "The live tail was refused" })).toBeVisible();
  await page.keyboard.press("l");
  await expect.poll(() => param(page, "view")).toBeNull();
});
