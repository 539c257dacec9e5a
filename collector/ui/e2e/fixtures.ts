// What every test gets: the scenario, and a page that fails the test on a
// script error or on a request to anywhere but the server.
import AxeBuilder from "@axe-core/playwright";
import { expect, test as base, type Page } from "@playwright/test";
import type { Scenario } from "./scenario";

export const test = base.extend<{ scenario: Scenario; quiet: undefined }>({
  scenario: async ({}, use) => {
    await use(JSON.parse(process.env.WATCHKEEPER_SCENARIO ?? "null") as Scenario);
  },
  baseURL: async ({ scenario }, use) => use(scenario.url),
  quiet: [
    async ({ page, scenario }, use) => {
      const complaints: string[] = [];
      page.on("pageerror", (error) => complaints.push(`script error: ${error.message}`));
      page.on("console", (message) => {
        const ours = message.type() === "error" && !message.text().startsWith("Failed to load resource");
        if (ours) complaints.push(`console: ${message.text()}`);
      });
      page.on("request", (request) => {
        if (new URL(request.url()).origin !== scenario.url) complaints.push(`request to ${request.url()}`);
      });
      await use(undefined);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** The Logs page over the whole scenario, unless told otherwise. */
export function logsUrl(scenario: Scenario, query: string, times?: { from: number; to: number }): string {
  const from = times?.from ?? scenario.start;
  const to = times?.to ?? scenario.start + 600_000;
  const params = new URLSearchParams({
    q: query,
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
  });
  return `/ui/logs?${params.toString()}`;
}

/** The Metrics page over the whole scenario with these queries. */
export function metricsUrl(scenario: Scenario, queries: string[], more: Record<string, string> = {}): string {
  const params = new URLSearchParams(queries.map((query) => ["q", query]));
  params.set("from", new Date(scenario.start).toISOString());
  params.set("to", new Date(scenario.start + 600_000).toISOString());
  for (const [name, value] of Object.entries(more)) params.set(name, value);
  return `/ui/metrics?${params.toString()}`;
}

export const rows = (page: Page) => page.locator("[role=rowgroup] [role=row]");
export const search = (page: Page) => page.getByRole("textbox", { name: "Search" });
export const total = (page: Page) => page.getByTestId("total");

export function param(page: Page, name: string): string | null {
  return new URL(page.url()).searchParams.get(name);
}

export async function runSearch(page: Page, query: string): Promise<void> {
  await search(page).click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText(query);
  await page.keyboard.press("Enter");
}

export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(grave.map((v) => `${v.id}: ${v.nodes.map((node) => node.html).join(" ")}`)).toEqual([]);
}
