// axe finds nothing serious on any page, in light and in dark.
import { expect, expectAccessible, logsUrl, metricsUrl, rows, search, test } from "./fixtures";

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme });

    test("logs, with a record open", async ({ page, scenario }) => {
      await page.goto(logsUrl(scenario, "größe OR severity:error OR cache"));
      await rows(page).first().click();
      await expect(page.getByRole("complementary", { name: "Record" })).toBeVisible();
      await expectAccessible(page);
    });

    test("logs, with an error", async ({ page, scenario }) => {
      await page.goto(logsUrl(scenario, "a AND"));
      await expect(page.locator("#query-error")).toContainText("AND");
      await expectAccessible(page);
    });

    test("logs, with a column's menu, the find bar and the context of a record", async ({ page, scenario }) => {
      await page.goto(`${logsUrl(scenario, "")}&density=roomy&by=service&columns=severity,service,number,body`);
      await rows(page).first().click();
      await page.getByRole("tab", { name: "Context" }).click();
      await expect(page.getByRole("list", { name: "Surrounding records" })).toBeVisible();
      await page.keyboard.press("Control+f");
      await page.keyboard.type("tasks");
      await page.getByRole("columnheader").filter({ hasText: "number" }).getByRole("button").click();
      await expect(page.getByRole("button", { name: "Remove column" })).toBeVisible();
      await expectAccessible(page);
    });

    test("logs, with what is offered while writing, and exporting", async ({ page, scenario }) => {
      await page.goto(logsUrl(scenario, "answered service:task-api"));
      await expect(rows(page).first()).toBeVisible();
      await search(page).click();
      await page.keyboard.type(" service:");
      await expect(page.getByRole("listbox")).toBeVisible();
      await expectAccessible(page);
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Export" }).click();
      await expect(page.getByRole("link", { name: "Download" })).toBeVisible();
      await expectAccessible(page);
    });

    test("time picker and cheat sheet", async ({ page, scenario }) => {
      await page.goto(logsUrl(scenario, ""));
      await expect(rows(page).first()).toBeVisible();
      await page.keyboard.press("d");
      await expect(page.getByRole("dialog")).toBeVisible();
      await expectAccessible(page);
      await page.keyboard.press("Escape");
      await page.keyboard.press("?");
      await expect(page.getByRole("dialog")).toBeVisible();
      await expectAccessible(page);
    });

    test("alerts", async ({ page }) => {
      await page.goto("/ui/alerts");
      await expect(page.getByRole("article").first()).toBeVisible({ timeout: 25_000 });
      await expectAccessible(page);
    });

    test("metrics, with a graph, a held point and exemplars", async ({ page, scenario }) => {
      const queries = ["rate(http_server_requests_total[1m])", "process_memory_usage_bytes", "sum("];
      await page.goto(metricsUrl(scenario, queries, { exemplars: "1" }));
      await expect(page.getByRole("region", { name: "Legend" })).toBeVisible();
      await page.getByTestId("graph").focus();
      await page.keyboard.press("ArrowLeft");
      await page.keyboard.press("Enter");
      await expect(page.getByRole("dialog", { name: "Values at this time" })).toBeVisible();
      await expectAccessible(page);
    });

    test("metrics, as a table and what is offered while writing", async ({ page, scenario }) => {
      await page.goto(metricsUrl(scenario, ["http_server_requests_total"], { view: "table" }));
      await expect(page.getByRole("region", { name: "Values" })).toBeVisible();
      await page.getByRole("textbox", { name: "Query A", exact: true }).click();
      await page.keyboard.type("{htt");
      await expect(page.getByRole("listbox")).toBeVisible();
      await expectAccessible(page);
    });

    test("metrics, browsing and cardinality", async ({ page, scenario }) => {
      await page.goto(metricsUrl(scenario, [], { view: "cardinality", metric: "http_server_requests_total" }));
      await expect(page.getByTestId("series-count")).toBeVisible();
      await expectAccessible(page);
      await page.keyboard.press("m");
      const browser = page.getByRole("dialog", { name: "Metrics" });
      await browser.getByRole("button", { name: /^http_server_requests_total/ }).click();
      await expect(browser.getByTestId("series-count")).toBeVisible();
      await expectAccessible(page);
    });

    test("not found", async ({ page }) => {
      await page.goto("/ui/nowhere");
      await expect(page.getByRole("heading", { name: "There is no such page" })).toBeVisible();
      await expectAccessible(page);
    });
  });
}
