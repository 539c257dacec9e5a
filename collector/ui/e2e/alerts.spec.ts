// The Alerts page over real rules, evaluated by the server.
import { expect, param, rows, test, total } from "./fixtures";
import { readMails } from "./mailbox";
import { FAILURES } from "./scenario";

test("states come in order: firing, pending, inactive, recording", async ({ page }) => {
  await page.goto("/ui/alerts");
  const firing = page.getByRole("region", { name: "Firing" });
  const alert = firing.getByRole("article", { name: "RequestsFail", exact: true });
  await expect(alert).toBeVisible({ timeout: 25_000 });
  await expect(alert).toContainText("40 requests failed");
  await expect(alert).toContainText("value 40");
  await expect(alert.getByRole("list", { name: "Labels" })).toContainText("service=task-api");
  const pending = page.getByRole("region", { name: "Pending" });
  await expect(pending.getByRole("article", { name: "RequestsFailForLong" })).toContainText(/fires in \d+m/);
  await expect(page.getByRole("region", { name: "Inactive" })).toContainText("EverythingIsLost");
  await expect(page.getByRole("region", { name: "Recording rules" })).toContainText("demo:failures:double");
  await expect(page.getByRole("main").getByRole("region")).toHaveCount(4 + 2); // and two alerts
  await expect(page.getByRole("navigation")).toContainText("Alerts1");
});

test("a firing alert leads to the logs of the failing requests", async ({ page }) => {
  await page.goto("/ui/alerts?state=firing");
  await page.getByRole("link", { name: "Show logs" }).click({ timeout: 25_000 });
  await expect(page).toHaveURL(/\/ui\/logs/);
  expect(param(page, "q")).toBe("service:task-api AND severity:>=error");
  expect(param(page, "from")).toMatch(/^\d{4}-\d\d-\d\dT/);
  await expect(total(page)).toHaveText(`${FAILURES} records`);
  await expect(rows(page).first()).toContainText("request failed");
});

test("the link in the alert's mail shows the failing requests", async ({ page, scenario }) => {
  const firing = () => readMails(scenario.mails).find((mail) => mail.includes("Subject: [FIRING:1] RequestsFail "));
  await expect.poll(firing, { timeout: 25_000 }).toContain("40 requests failed");
  const link = /https?:\/\/\S+\/ui\/logs\?[^\s"]+/.exec(firing() ?? "")?.[0] ?? "";
  await page.goto(link);
  await expect(total(page)).toHaveText(`${FAILURES} records`);
  await expect(rows(page).first()).toContainText("request failed: connection refused by the database");
  await expect(page.locator("[role=rowgroup] [data-level=info]")).toHaveCount(0);
});

test("filters by state and text live in the URL", async ({ page }) => {
  await page.goto("/ui/alerts");
  await page.getByRole("button", { name: /inactive$/ }).click({ timeout: 25_000 });
  await expect(page.getByRole("article")).toHaveCount(1);
  await page.getByRole("button", { name: /recording$/ }).click();
  await expect(page.getByRole("article")).toHaveCount(2);
  expect(param(page, "state")).toBe("inactive,recording");
  await page.getByLabel("Filter rules").fill("everything");
  await expect(page.getByRole("article")).toHaveCount(1);
  await page.reload();
  await expect(page.getByRole("article")).toHaveCount(1);
  await page.getByLabel("Filter rules").fill("no such rule");
  await expect(page.getByRole("heading", { name: "No rule matches the filter" })).toBeVisible();
  await page.getByRole("button", { name: "Show all rules" }).click();
  await expect(page.getByRole("article")).toHaveCount(4);
});
