// axe finds nothing serious on any page, in light and in dark.
import { expect, expectAccessible, logsUrl, rows, test } from "./fixtures";

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

    test("not found", async ({ page }) => {
      await page.goto("/ui/nowhere");
      await expect(page.getByRole("heading", { name: "There is no such page" })).toBeVisible();
      await expectAccessible(page);
    });
  });
}
