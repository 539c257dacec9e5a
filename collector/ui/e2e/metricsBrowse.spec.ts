// What metrics there are: the browser of metrics, and what the series consist of.
import { expect, metricsUrl, param, test } from "./fixtures";
import { ROUTES, SERIES, STATUSES } from "./metricsScenario";

const REQUESTS = "http_server_requests_total";

test("a metric is found by its description, narrowed by a label, and asked for", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, []));
  // The page has its keys from here on.
  await expect(page.getByTitle("All metrics there are (m)")).toBeVisible();
  await page.keyboard.press("m");
  const browser = page.getByRole("dialog", { name: "Metrics" });
  await browser.getByLabel("Search metrics").fill("requests answered");
  await browser.getByRole("button", { name: new RegExp(`^${REQUESTS}`) }).click();
  await expect(browser.getByTestId("series-count")).toHaveText(`${SERIES} series`);
  await expect(browser).toContainText("Requests answered.");
  const routes = browser.getByRole("group", { name: "Label http_route" });
  await expect(routes.getByRole("button")).toHaveCount(ROUTES.length);
  await routes.getByRole("button", { name: ROUTES[0] }).click();
  await expect(browser.getByTestId("series-count")).toContainText(`${STATUSES.length} series`);
  await browser.getByRole("button", { name: "Rate", exact: true }).click();
  await expect(browser).toHaveCount(0);
  expect(param(page, "q")).toBe(`rate(${REQUESTS}{http_route="${ROUTES[0]}"}[5m])`);
  await expect(page.getByRole("region", { name: "Legend" }).locator("tbody tr")).toHaveCount(STATUSES.length);
});

test("cardinality: the largest metrics, the labels of one, and the way to a query", async ({ page, scenario }) => {
  await page.goto(metricsUrl(scenario, []));
  await page.getByRole("tab", { name: "Cardinality" }).click();
  const largest = page.getByRole("region", { name: "Metrics with the most series", exact: true });
  await largest.getByRole("button", { name: new RegExp(`^${REQUESTS}`) }).click();
  const metric = page.getByRole("complementary", { name: "Metric" });
  await expect(metric.getByTestId("series-count")).toHaveText(`${SERIES} series`);
  expect(param(page, "metric")).toBe(REQUESTS);
  await page.reload();
  await expect(metric.getByRole("group", { name: "Label http_route" })).toContainText(ROUTES[1]);
  await metric.getByRole("button", { name: "Sum of rates" }).click();
  expect(param(page, "q")).toBe(`sum(rate(${REQUESTS}[5m]))`);
  expect(param(page, "view")).toBeNull();
});

test("a server that does not count its series says so", async ({ page, scenario }) => {
  await page.route("**/api/v1/status/tsdb*", (route) => route.fulfill({ status: 404, body: "404 page not found" }));
  await page.goto(metricsUrl(scenario, [], { view: "cardinality" }));
  await expect(page.getByRole("heading", { name: "This server does not count its series" })).toBeVisible();
});
