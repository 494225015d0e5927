// The page at /jobs in a real browser, by the keyboard alone, with axe looking for what would keep people out.
//
//   node jobs-page.mjs <browser> <address of the server> <e-mail> <password>
//
// Prints what it has seen as JSON; ends with 1 and the reason where the page does not do what it should.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [executablePath, server, email, password] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const seen = { requests: 0, audits: [] };

try {
  const page = await browser.newPage();
  page.setDefaultTimeout(15_000);
  const foreign = [];
  const complaints = [];
  page.on("request", (request) => {
    seen.requests += 1;
    if (!request.url().startsWith(`${server}/`) && !request.url().startsWith("data:")) foreign.push(request.url());
  });
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));

  const audit = async (name) => {
    await page.evaluate(axe);
    const { violations, passes } = await page.evaluate(() =>
      globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
    );
    const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
    assert.deepEqual(told, [], `what axe finds on ${name}`);
    seen.audits.push(`${name}: ${passes.length} rules passed`);
  };
  const focused = () => page.evaluate(() => document.activeElement?.dataset.key ?? document.activeElement?.id ?? "");
  /** Presses Tab until this has the focus. */
  const tabTo = async (key) => {
    for (let pressed = 0; pressed < 150; pressed += 1) {
      if ((await focused()) === key) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`the keyboard does not reach ${key}`);
  };
  const says = (text) => page.waitForFunction((text) => document.querySelector("#status").textContent.includes(text), text);
  const logIn = async (with_) => {
    await tabTo("email");
    await page.keyboard.press("Control+A");
    await page.keyboard.type(email);
    await page.keyboard.press("Tab");
    await page.keyboard.type(with_);
    await page.keyboard.press("Enter");
  };

  const response = await page.goto(`${server}/jobs`);
  assert.match(response.headers()["content-security-policy"], /default-src 'none'; script-src 'self'; style-src 'self'/);
  await page.waitForFunction(() => document.activeElement?.id === "email");
  assert.equal(await page.locator("#board").isVisible(), false, "nothing is shown before the login");
  await audit("the login");
  await logIn("this is wrong");
  await page.waitForFunction(() => document.querySelector("#refused").textContent !== "");
  assert.equal(await page.locator("#board").isVisible(), false);
  await logIn(password);
  await page.waitForSelector("#recurring table");
  await says("Refreshed");

  for (const id of ["throughput", "recurring", "queues", "dead"]) {
    const table = page.locator(`#${id} table`);
    assert.notEqual((await table.locator("caption").textContent()).trim(), "", `${id} has a caption`);
    assert.ok((await table.locator("thead th[scope=col]").count()) >= 3, `${id} has headings`);
    assert.ok((await table.locator("tbody th[scope=row]").count()) >= 1, `the rows of ${id} have headings`);
  }
  assert.match(await page.locator("svg[role=img]").getAttribute("aria-label"), /The last 24 hours: \d+ done, 1 dead/);
  assert.match(await page.locator("#dead").textContent(), /ended without a word during attempt 5/);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await audit(`the page, ${colorScheme}`);
  }
  await page.setViewportSize({ width: 360, height: 700 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out of a phone");
  await audit("the page on a phone");
  await page.setViewportSize({ width: 1280, height: 900 });

  await tabTo("toggle ProcessEmailQueueJob");
  await page.keyboard.press("Enter");
  await says("ProcessEmailQueueJob is paused");
  assert.equal(await focused(), "toggle ProcessEmailQueueJob", "the button keeps the focus");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Resume");

  await tabTo("change ProcessEmailQueueJob");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.id === "schedule");
  await audit("the dialog");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("at noon");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#change-refused").textContent.includes("five fields"));
  await page.keyboard.press("Control+A");
  await page.keyboard.type("0 12 * * *");
  await page.keyboard.press("Enter");
  await says("has another schedule");
  assert.equal(await page.locator("dialog").isVisible(), false);
  assert.match(await page.locator("#recurring").textContent(), /0 12 \* \* \*/);
  assert.equal(await focused(), "change ProcessEmailQueueJob", "the focus is back where it was");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("dialog").isVisible(), false, "Escape closes the dialog");

  const dead = await page.locator("#dead button").getAttribute("data-key");
  await tabTo(dead);
  await page.keyboard.press("Enter");
  await says("is tried again");
  assert.match(await page.locator("#dead").textContent(), /There are no dead letters/);
  assert.notEqual(await page.evaluate(() => document.activeElement?.tagName), "BODY", "the focus is not lost with its row");

  await tabTo("run CleanupOldDataJob");
  await page.keyboard.press("Space");
  await says("was asked to run");
  assert.match(await page.locator("#open").textContent(), /CleanupOldDataJob/);

  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT, fullPage: true });
  const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
  assert.deepEqual(kept, [0, 0, ""], "the token is kept nowhere");
  await tabTo("logout");
  await page.keyboard.press("Enter");
  await says("Logged out");
  assert.equal(await page.locator("#board").isVisible(), false);
  assert.equal(await page.locator("table").count(), 0, "what was shown is gone");

  assert.deepEqual(foreign, [], "no request leaves the server");
  // A refused login is no error of the page.
  assert.deepEqual(complaints, [], "what the browser complains of");
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
