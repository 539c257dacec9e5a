// The field sidebar, what the search bar offers, the filters, the histogram's grouping.
import { expect, logsUrl, param, runSearch, search, test, total } from "./fixtures";
import { FAILURES, failingRange, REQUESTS, TOTAL } from "./scenario";

const n = (count: number) => count.toLocaleString("en");

test("top values have counts, and filter for, out, and by existence", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, ""));
  const fields = page.getByRole("complementary", { name: "Fields" });
  await expect(fields.getByRole("button", { name: `error, ${FAILURES} records` })).toBeVisible();
  await expect(fields.getByRole("button", { name: `task-worker, ${n(REQUESTS / 5)} records` })).toBeVisible();
  await fields.getByLabel("Find a field").fill("status code");
  await fields.getByRole("button", { name: /^http\.response\.status_code/ }).click();
  await expect(fields.getByRole("button", { name: `500, ${FAILURES} records` })).toBeVisible();
  await expect(fields).toContainText(`${n(TOTAL - FAILURES)} without`);

  await fields.getByRole("button", { name: `${FAILURES} with it` }).click();
  await expect(total(page)).toHaveText(`${FAILURES} records`);
  expect(param(page, "q")).toBe("http.response.status_code:*");
  await page.getByRole("button", { name: "Remove http.response.status_code:*" }).click();
  await expect(total(page)).toHaveText(`${n(TOTAL)} records`);

  await fields.getByLabel("Find a field").fill("service");
  await fields.getByRole("button", { name: /^task-worker,/ }).hover();
  await fields.getByRole("button", { name: "Filter out task-worker" }).click();
  await expect(total(page)).toHaveText(`${n(TOTAL - REQUESTS / 5)} records`);
  await page.getByRole("list", { name: "Filters" }).getByRole("button", { name: "NOT service:task-worker" }).click();
  await expect(total(page)).toHaveText(`${n(REQUESTS / 5)} records`);
  expect(param(page, "q")).toBe("service:task-worker");
  await page.goBack();
  await expect(total(page)).toHaveText(`${n(TOTAL - REQUESTS / 5)} records`);
});

test("the fields that are open stay so, and the sidebar hides", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, ""));
  const fields = page.getByRole("complementary", { name: "Fields" });
  await fields.getByRole("button", { name: /^http\.route/ }).click();
  await expect(fields.getByRole("button", { name: `/api/v1/tasks, ${n(REQUESTS)} records` })).toBeVisible();
  await page.reload();
  await expect(fields.getByRole("button", { name: `/api/v1/tasks, ${n(REQUESTS)} records` })).toBeVisible();
  await page.keyboard.press("f");
  await expect(fields).toHaveCount(0);
});

test("a field that is opened far down is seen with its values, and has the focus", async ({ page, scenario }) => {
  await page.setViewportSize({ width: 1280, height: 420 });
  await page.goto(logsUrl(scenario, ""));
  const fields = page.getByRole("complementary", { name: "Fields" });
  const host = fields.getByRole("button", { name: /^(resource\.)?host\.name/ });
  await host.click();
  await expect(fields.getByRole("button", { name: /^test-host, / })).toBeInViewport();
  await expect(host).toBeInViewport();
  await expect(host).toBeFocused();
});

test("what a wrong search cannot count says so", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "a AND"));
  const fields = page.getByRole("complementary", { name: "Fields" });
  await expect(fields.getByText("Not counted.").first()).toBeVisible();
  await expect(fields.getByText("Counting…")).toHaveCount(0);
});

test("fields, then their values, are offered while one writes; Enter runs what is written", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, ""));
  await expect(total(page)).toHaveText(`${n(TOTAL)} records`);
  await search(page).click();
  await page.keyboard.type("error.ty");
  const offers = page.getByRole("listbox");
  await expect(offers.getByRole("option").first()).toContainText("error.type");
  await page.keyboard.press("Tab");
  await expect(search(page)).toHaveText("error.type:");
  await expect(offers.getByRole("option").first()).toContainText("sqlx::Error");
  await expect(offers).toContainText("records that have the field");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(search(page)).toHaveText('error.type:"sqlx::Error"');
  await page.keyboard.press("Enter");
  await expect(total(page)).toHaveText(`${FAILURES} records`);

  await runSearch(page, "");
  await page.keyboard.type("severity:erro");
  await expect(offers.getByRole("option")).toHaveText(["error"]);
  // Nothing is chosen in the list: Enter runs, and the server says what is wrong.
  await page.keyboard.press("Enter");
  await expect(page.locator("#query-error")).toContainText("severity");
});

test("searches come back with Ctrl and the arrows, and from the list", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, ""));
  for (const query of ["café", "größe"]) {
    await runSearch(page, query);
    await expect(total(page)).toHaveText("1 record");
  }
  await search(page).click();
  await page.keyboard.press("Control+ArrowUp");
  await expect(search(page)).toHaveText("café");
  await page.keyboard.press("Control+ArrowDown");
  await expect(search(page)).toHaveText("größe");
  await page.getByRole("button", { name: "Saved views and recent searches" }).click();
  const panel = page.getByRole("dialog", { name: "Saved views and recent searches" });
  await expect(panel).toContainText("café");
  await panel.getByLabel("Name of the view").fill("My view");
  await panel.getByRole("button", { name: "Save" }).click();
  await page.keyboard.press("Escape");
  await runSearch(page, "odd");
  await page.getByRole("button", { name: "Saved views and recent searches" }).click();
  await panel.getByRole("link", { name: "My view" }).click();
  await expect(search(page)).toHaveText("größe");
  await expect(panel).toBeHidden();
});

test("the histogram counts by any field; its legend filters", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "", failingRange(scenario.start)));
  await page.getByRole("combobox", { name: "Count by" }).selectOption("service");
  await expect(page.getByRole("button", { name: "task-worker 60" })).toBeVisible();
  expect(param(page, "by")).toBe("service");
  const fields = page.getByRole("complementary", { name: "Fields" });
  await fields.getByText("error.type").hover();
  await fields.getByRole("button", { name: "Count by error.type" }).click();
  await expect(page.getByRole("button", { name: `sqlx::Error ${FAILURES}` })).toBeVisible();
  await page.getByRole("button", { name: "without error.type 300" }).click();
  await expect(total(page)).toHaveText("300 records");
  expect(param(page, "q")).toBe("NOT error.type:*");
});
