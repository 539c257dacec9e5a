// Looking at results: time, histogram, scrolling, one record, filters, the URL.
import { expect, logsUrl, param, rows, search, test, total } from "./fixtures";
import { FAILURES, failingRange, inRange, ODD_VALUE, TOTAL } from "./scenario";

const all = TOTAL.toLocaleString("en");

test("dragging over the histogram zooms to exactly what it counted; back returns", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, ""));
  await expect(total(page)).toHaveText(`${all} records`);
  const box = await page.getByTestId("histogram").boundingBox();
  if (box === null) throw new Error("no histogram");
  const y = box.y + 30;
  await page.mouse.move(box.x + box.width * 0.5, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.8, y, { steps: 5 });
  await page.mouse.up();
  await expect(total(page)).not.toHaveText(`${all} records`);
  const from = Date.parse(param(page, "from") ?? "");
  const to = Date.parse(param(page, "to") ?? "");
  expect(from).toBeGreaterThan(scenario.start + 280_000);
  expect(to).toBeLessThan(scenario.start + 500_000);
  const expected = inRange(scenario.start, from, to).toLocaleString("en");
  await expect(total(page)).toHaveText(`${expected} records`);
  await page.goBack();
  await expect(total(page)).toHaveText(`${all} records`);
  expect(param(page, "from")).toBe(new Date(scenario.start).toISOString());
});

test("the histogram tells the counts under the pointer, by level", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "", failingRange(scenario.start)));
  const chart = page.getByTestId("histogram");
  await expect(chart.getByRole("img")).toHaveAccessibleName(new RegExp(`340 in all, ${FAILURES} error`));
  await chart.hover({ position: { x: 50, y: 30 } });
  await expect(chart).toContainText("error");
  await page.getByRole("button", { name: `error ${FAILURES}` }).click();
  await expect(total(page)).toHaveText(`${FAILURES} records`);
  await expect(search(page)).toHaveText("severity:error");
});

test("scrolling loads every record once, in order", async ({ page, scenario }) => {
  const ids: string[] = [];
  const times: string[] = [];
  page.on("response", (response) => {
    if (!response.url().endsWith("/logs/search")) return;
    void response.json().then((answer: { records: { id: string; timestamp: string }[] }) => {
      ids.push(...answer.records.map((record) => record.id));
      times.push(...answer.records.map((record) => record.timestamp));
    });
  });
  await page.goto(logsUrl(scenario, ""));
  const grid = page.getByRole("grid");
  await expect(rows(page).first()).toBeVisible();
  await expect
    .poll(
      async () => {
        await grid.evaluate((element) => element.scrollTo({ top: element.scrollHeight }));
        return page.getByTestId("stats").textContent();
      },
      { intervals: [50], timeout: 20_000 },
    )
    .toContain(`${all} loaded`);
  await expect(grid).toContainText("No more records in this time range.");
  expect(new Set(ids).size).toBe(TOTAL);
  expect(ids.length).toBe(TOTAL);
  expect(times).toEqual([...times].sort().reverse());
  // However many are loaded, few rows exist.
  expect(await rows(page).count()).toBeLessThan(120);
});

test("oldest first turns the order round", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "service:task-api"));
  await expect(rows(page).first()).toBeVisible();
  await page.getByRole("button", { name: "Newest first" }).click();
  await expect(page.getByRole("button", { name: "Oldest first" })).toBeVisible();
  await expect(rows(page).first()).toContainText("number=1");
  expect(param(page, "order")).toBe("oldest");
});

test("the drawer shows all of a record and copies it", async ({ page, context, scenario }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(logsUrl(scenario, "error.type:\"sqlx::Error\"", failingRange(scenario.start)));
  await rows(page).first().click();
  const drawer = page.getByRole("complementary", { name: "Record" });
  await expect(drawer).toContainText("request failed: connection refused by the database");
  for (const [name, value] of [
    ["http.response.status_code", "500"],
    ["error.type", "sqlx::Error"],
    ["host.name", "test-host"],
    ["name", "task_api::http"],
    ["severity", "ERROR (17)"],
  ]) {
    const field = drawer.locator("dl > div").filter({ has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) });
    await expect(field).toContainText(value ?? "");
  }
  await drawer.getByRole("button", { name: "Copy message" }).click();
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  expect(await clipboard()).toBe("request failed: connection refused by the database");
  await drawer.getByRole("button", { name: "Copy JSON" }).click();
  await expect(page.getByRole("status").filter({ hasText: "JSON copied" })).toBeVisible();
  expect(JSON.parse(await clipboard())).toMatchObject({
    severity_number: 17,
    service: "task-api",
    attributes: { "http.response.status_code": "500", attempts: ["1", "2", "3"] },
  });
  await drawer.getByLabel("Find fields").fill("status");
  await expect(drawer.locator("dt")).toHaveText(["http.response.status_code"]);
});

test("a copied record link opens that very record", async ({ page, context, scenario }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(logsUrl(scenario, "number:1234"));
  await rows(page).first().click();
  await page.getByRole("button", { name: "Copy link" }).click();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  await page.goto("/ui/alerts");
  await page.goto(link.replace("q=number%3A1234&", ""));
  await expect(page.getByRole("complementary", { name: "Record" })).toContainText("1234");
  await expect(rows(page).first()).toHaveAttribute("aria-selected", "true");
});

test("filter buttons edit the search with right quoting", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, '"odd but true" OR café'));
  await expect(total(page)).toHaveText("2 records");
  await rows(page).filter({ hasText: "odd but true" }).click();
  const drawer = page.getByRole("complementary", { name: "Record" });
  await drawer.getByText(ODD_VALUE).hover();
  await drawer.getByRole("button", { name: "Filter for note" }).click();
  await expect(total(page)).toHaveText("1 record");
  expect(param(page, "q")).toBe('("odd but true" OR café) AND note:"say \\"größe\\" \\\\ (x) AND"');
  await expect(drawer).toBeVisible();
  await drawer.getByText(ODD_VALUE).hover();
  await drawer.getByRole("button", { name: "Filter out note" }).click();
  await expect(rows(page)).toHaveCount(1);
  await expect(rows(page)).toContainText("naïve café");
  await expect(drawer).toBeHidden();
});

test("every scalar field's filter finds its record again", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "number:1001"));
  await rows(page).first().click();
  const drawer = page.getByRole("complementary", { name: "Record" });
  const buttons = drawer.getByRole("button", { name: /^Filter for / });
  const names = await buttons.evaluateAll((found) => found.map((button) => button.getAttribute("aria-label") ?? ""));
  expect(names.length).toBeGreaterThan(7);
  for (const name of names) {
    await drawer.getByRole("button", { name, exact: true }).click();
    await expect(total(page)).toHaveText("1 record");
    await expect(page.getByRole("button", { name: "Run" })).toBeVisible();
  }
});

test("the URL holds the state: reload, back and forward keep it", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "severity:>=warn"));
  await expect(total(page)).toHaveText(`${FAILURES + 3} records`);
  await page.getByRole("button", { name: "Wrap" }).click();
  await page.getByRole("button", { name: "Histogram" }).click();
  await rows(page).nth(2).click();
  const record = param(page, "record");
  expect(record).not.toBeNull();
  await page.reload();
  await expect(page.getByRole("complementary", { name: "Record" })).toBeVisible();
  await expect(rows(page).nth(2)).toHaveAttribute("aria-selected", "true");
  await expect(page.getByTestId("histogram")).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Wrap" })).toHaveAttribute("aria-pressed", "true");
  await page.goBack();
  await expect(page.getByRole("complementary", { name: "Record" })).toHaveCount(0);
  await page.goBack();
  await expect(page.getByTestId("histogram")).toBeVisible();
  await page.goForward();
  await page.goForward();
  expect(param(page, "record")).toBe(record);
});

test("keys: focus, move, open, close, help, time", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "severity:error", failingRange(scenario.start)));
  await expect(rows(page).first()).toBeVisible();
  await page.keyboard.press("/");
  await expect(search(page)).toBeFocused();
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await expect(rows(page).nth(1)).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("Enter");
  const drawer = page.getByRole("complementary", { name: "Record" });
  await expect(drawer).toBeVisible();
  await page.keyboard.press("k");
  await expect(rows(page).nth(0)).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("Escape");
  await expect(drawer).toHaveCount(0);
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keys and search syntax" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await page.keyboard.press("d");
  await expect(page.getByRole("dialog", { name: "Time range" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await page.keyboard.press("t");
  await page.keyboard.press("z");
  await expect(total(page)).toHaveText(`${FAILURES} records`);
  await expect
    .poll(() => Date.parse(param(page, "to") ?? "") - Date.parse(param(page, "from") ?? ""))
    .toBe(120_000);
});

test("the time picker takes presets, relative and local times, and says what is none", async ({ page, scenario }) => {
  await page.goto("/ui/logs");
  await page.getByRole("button", { name: "Last 15 minutes" }).click();
  await page.getByRole("button", { name: "Last hour" }).click();
  await expect(page).toHaveURL(/from=now-1h&to=now/);
  await expect(total(page)).toContainText("records");
  await page.keyboard.press("d");
  await page.getByLabel("From").fill("yesterday-ish");
  await expect(page.getByRole("dialog")).toContainText('"yesterday-ish" is not a time');
  await expect(page.getByRole("button", { name: "Apply" })).toBeDisabled();
  // The browser's zone is five and a half hours ahead of UTC.
  const { from, to } = failingRange(scenario.start);
  const local = (time: number) => new Date(time + 5.5 * 3_600_000).toISOString().slice(0, 19).replace("T", " ");
  await page.getByLabel("From").fill(local(from));
  await page.getByLabel("To", { exact: true }).fill(local(to));
  await page.keyboard.press("Enter");
  await expect(total(page)).toHaveText("340 records");
  expect(param(page, "from")).toBe(new Date(from).toISOString());
});

test("an absolute link keeps showing this time range", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto("/ui/logs?q=caf%C3%A9&from=now-30m&to=now");
  await expect(total(page)).toHaveText("1 record");
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByRole("button", { name: "Copy absolute link" }).click();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const params = new URL(link).searchParams;
  expect(params.get("from")).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  expect(Date.parse(params.get("to") ?? "") - Date.parse(params.get("from") ?? "")).toBe(30 * 60_000);
});
