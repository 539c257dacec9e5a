// Patterns: like messages together, compared with another time.
import { expect, expectAccessible, logsUrl, param, rows, search, test, total } from "./fixtures";
import { sendLogs, type SentLog } from "./otlp";

const LOGINS = 60;
const PAYMENTS = 25;
const MINUTE = 60_000;

/** Two minutes: logins in both, warm-ups only in the first, failed payments only in the second. */
function story(start: number): SentLog[] {
  const service = "patterned";
  const logs = (count: number, from: number, severity: number, body: (i: number) => string) =>
    Array.from({ length: count }, (_, i): SentLog => ({ time: from + i * 500, severity, body: body(i), service }));
  const login = (i: number) => `user ${i * 37} logged in from 10.0.${i}.7`;
  return [
    ...logs(LOGINS, start, 9, login),
    ...logs(12, start, 9, (i) => `cache warmed with ${i * 11} entries`),
    ...logs(LOGINS, start + MINUTE, 9, login),
    ...logs(PAYMENTS, start + MINUTE, 17, (i) => `payment ${i * 13} failed: timeout after ${i}00 ms`),
  ];
}

test("patterns count, show samples, compare, and lead to their records", async ({ page, scenario }) => {
  const start = scenario.start - 30 * MINUTE;
  await sendLogs(scenario.otlp, story(start));
  const second = { from: start + MINUTE, to: start + 2 * MINUTE };
  await page.goto(logsUrl(scenario, "service:patterned", second));
  await page.getByRole("tab", { name: "Patterns" }).click();
  await expect(page.getByTestId("patterns-summary")).toHaveText(`2 patterns in ${LOGINS + PAYMENTS} records`);
  const list = page.getByRole("region", { name: "Patterns" });
  const items = list.locator("li:has(> [aria-expanded])");
  await expect(items.nth(0)).toContainText("logged in from");
  await expect(items.nth(0)).toContainText(String(LOGINS));
  await expect(items.nth(1)).toContainText("payment <_> failed");

  await page.getByRole("button", { name: /^Compare with/ }).click();
  await page.getByRole("button", { name: "the time before" }).click();
  await expect(page).toHaveURL(/compare=before/);
  const changes = page.getByRole("group", { name: "Changes" });
  await expect(changes.getByRole("button", { name: "new" })).toHaveText("new1");
  await expect(changes.getByRole("button", { name: "gone" })).toHaveText("gone1");
  await expect(items.nth(0)).toContainText("payment");
  await expect(items.nth(1)).toContainText("cache warmed");
  await expect(items.nth(2)).toContainText("same");
  await changes.getByRole("button", { name: "new" }).click();
  await expect(items).toHaveCount(1);
  await items.getByRole("button", { name: /payment/ }).first().click();
  await expect(list.getByRole("list", { name: "Samples" }).getByRole("listitem")).toHaveCount(3);
  await expectAccessible(page);
  await list.getByRole("list", { name: "Samples" }).getByRole("button").first().click();
  await expect(page.getByRole("complementary", { name: "Record" })).toContainText("payment");

  await list.getByRole("button", { name: "Show its records" }).click();
  await expect(total(page)).toHaveText(`${PAYMENTS} records`);
  await expect(rows(page).first()).toContainText("payment");
  expect(param(page, "view")).toBeNull();
  await expect(search(page)).toContainText("service:patterned AND /");
  await page.goBack();
  await items.getByRole("button", { name: /logged in/ }).first().click();
  await list.getByRole("button", { name: "Filter it out" }).click();
  await expect(total(page)).toHaveText(`${PAYMENTS} records`);
  await expect(items.first()).toBeVisible();
  await expect(items.filter({ hasText: "logged in" })).toHaveCount(0);
});

test("patterns can be cancelled, and run again", async ({ page, scenario }) => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((go) => (release = go));
  await page.route("**/api/v1/logs/patterns", async (route) => {
    await held;
    await route.continue().catch(() => undefined);
  });
  await page.goto(`${logsUrl(scenario, "cache")}&view=patterns`);
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText("Nothing was found yet.")).toBeVisible();
  release();
  await page.getByRole("button", { name: "Run again" }).click();
  await expect(page.getByTestId("patterns-summary")).toHaveText("1 pattern in 300 records");
});
