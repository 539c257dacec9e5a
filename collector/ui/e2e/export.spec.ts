// Downloads from the server: whole records, or chosen columns.
import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { expect, logsUrl, test } from "./fixtures";
import { FAILURES, failingRange } from "./scenario";

async function download(page: Page, choose: () => Promise<void>): Promise<string> {
  await page.getByRole("button", { name: "Export" }).click();
  await choose();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download" }).click()]);
  return readFileSync(await file.path(), "utf8");
}

test("NDJSON holds every matching record, in the order asked for", async ({ page, scenario }) => {
  await page.goto(logsUrl(scenario, "severity:error"));
  const text = await download(page, () => page.getByLabel("oldest first").check());
  const records = text.trim().split("\n").map((line) => JSON.parse(line) as { timestamp: string; body: string });
  expect(records.length).toBe(FAILURES);
  expect(records[0]?.body).toBe("request failed: connection refused by the database");
  const times = records.map((record) => record.timestamp);
  expect(times).toEqual([...times].sort());
});

test("CSV holds the table's columns, or others, and no more than asked for", async ({ page, scenario }) => {
  const times = failingRange(scenario.start);
  await page.goto(`${logsUrl(scenario, "severity:error", times)}&columns=severity,error.type,attempts`);
  const text = await download(page, async () => {
    await page.getByLabel(/^CSV/).check();
    await expect(page.getByRole("textbox", { name: "Columns" })).toHaveValue("timestamp, severity, error.type, attempts");
    await page.getByLabel("At most").fill("2");
  });
  const [head, first, ...rest] = text.trim().split(/\r?\n/);
  expect(head).toBe("timestamp,severity,error.type,attempts");
  expect(first).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z,error,sqlx::Error,"\[/);
  expect(rest.length).toBe(1);
});
