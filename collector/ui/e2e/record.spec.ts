// One record: what came before and after it, its JSON, links to it.
import { expect, logsUrl, param, rows, test, total } from "./fixtures";
import { SPAN_ID } from "./otlp";
import { FAILING_TRACE, failingRange } from "./scenario";

test("the context shows the same stream around a record, and more on each side", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "number:1500"));
  await expect(total(page)).toHaveText("1 record");
  await rows(page).first().click();
  const drawer = page.getByRole("complementary", { name: "Record" });
  await drawer.getByRole("tab", { name: "Context" }).click();
  const list = drawer.getByRole("list", { name: "Surrounding records" });
  const records = list.locator("time");
  await expect(records).toHaveCount(41);
  const times = async () => (await records.allTextContents()).join(" ");
  expect((await times()).split(" ")).toEqual((await times()).split(" ").sort());
  const current = list.locator("[aria-current]");
  await expect(current).toHaveCount(1);
  await expect(current).toBeInViewport();
  await list.evaluate((element) => element.scrollTo({ top: 0 }));
  const first = list.locator("time", { hasText: (await records.first().textContent()) ?? "" });
  const place = await first.boundingBox();
  await list.getByRole("button", { name: "Load earlier" }).click();
  await expect(records).toHaveCount(91);
  // What came above has pushed nothing away.
  expect((await first.boundingBox())?.y).toBeCloseTo(place?.y ?? 0, -1);
  await list.getByRole("button", { name: "Load later" }).click();
  await expect(records).toHaveCount(141);
  expect((await times()).split(" ")).toEqual((await times()).split(" ").sort());

  // Another record of the context is one that the search does not show.
  await current.locator("xpath=../following-sibling::li[1]/button").click();
  await expect(drawer.getByRole("tab", { name: "Fields" })).toHaveAttribute("aria-selected", "true");
  await expect(drawer.locator("dl > div").filter({ hasText: /^number/ })).not.toContainText("1500");
  await page.goBack();
  await expect(drawer.getByRole("tab", { name: "Context" })).toHaveAttribute("aria-selected", "true");
});

test("a link to a record shows it, also where the search and the time would not", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "number:1234"));
  await rows(page).first().click();
  const record = param(page, "record") ?? "";
  await page.goto(`/ui/logs?q=unfindable&record=${encodeURIComponent(record)}`);
  const drawer = page.getByRole("complementary", { name: "Record" });
  await expect(drawer).toContainText("1234");
  await expect(page.getByRole("heading", { name: "No records found" })).toBeVisible();
  await page.goto("/ui/logs?record=no-such-record");
  await expect(page.getByRole("alert").filter({ hasText: "The record of this link cannot be shown" })).toBeVisible();
});

test("the URL's record is scrolled to, however far down it is", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "cache"));
  await expect(rows(page).first()).toBeVisible();
  await page.getByRole("grid").evaluate((element) => element.scrollTo({ top: 150 * 22 }));
  await rows(page).filter({ hasText: "number=1500 " }).click();
  await page.reload();
  const selected = page.locator("[role=row][aria-selected=true]");
  await expect(selected).toContainText("number=1500 ");
  await expect(selected).toBeInViewport();
});

test("the record is a JSON tree that folds", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "severity:error", failingRange(scenario.start)));
  await rows(page).first().click();
  const drawer = page.getByRole("complementary", { name: "Record" });
  await drawer.getByRole("tab", { name: "JSON" }).click();
  expect(param(page, "tab")).toBe("json");
  const type = drawer.getByText('"sqlx::Error"');
  await expect(type).toBeVisible();
  await drawer.locator("summary").filter({ hasText: '"attributes"' }).click();
  await expect(type).toBeHidden();
});

test("a record of a trace leads to the trace", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, `trace_id:${FAILING_TRACE}`, failingRange(scenario.start)));
  await rows(page).first().click();
  const drawer = page.getByRole("complementary", { name: "Record" });
  const address = new RegExp(`^/ui/traces/${FAILING_TRACE}\\?span=${SPAN_ID}&at=`);
  for (const name of ["Open trace", FAILING_TRACE]) {
    await expect(drawer.getByRole("link", { name, exact: true })).toHaveAttribute("href", address);
  }
});
