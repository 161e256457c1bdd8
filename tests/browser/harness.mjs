// What every browser test stands on: the driver, started before the tests and stopped after them, and what must hold at
// the end of each.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import axe from "axe-core";
import { patience, site, start, stop, target } from "./driver.mjs";

export { answered, artifacts, cli, dist, drawn, finish, idle, large, memory, open, patience, pick, saveReport, temporary } from "./driver.mjs";

const screenshots = join(target, "screenshots");
mkdirSync(screenshots, { recursive: true });

before(start);
after(stop);

// Ends a test with what must hold after each: nothing left the machine, and nothing was said.
export async function check({ context, record }) {
  const elsewhere = record.requests.filter((url) => !url.startsWith(site.origin) && !url.startsWith("blob:"));
  assert.deepEqual(elsewhere, [], "requests to other origins");
  assert.deepEqual(record.messages, [], "console messages");
  await context.close();
}

// How the page is looked at: three of the six pairs of scheme and width in each run, all with BITGAUGE_LOOKS=all.
const [phone, tablet] = [{ width: 390, height: 844 }, { width: 768, height: 1024 }];
export const looks = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["narrow", { colorScheme: "light", viewport: phone }],
  ...(process.env.BITGAUGE_LOOKS === "all"
    ? [
        ["narrow-dark", { colorScheme: "dark", viewport: phone }],
        ["middle", { colorScheme: "light", viewport: tablet }],
        ["middle-dark", { colorScheme: "dark", viewport: tablet }],
      ]
    : []),
];

// Keeps a screenshot, and holds the page to all of axe's rules and to its own width.
export async function examine(page, name, look) {
  await page.screenshot({ path: join(screenshots, `${name}-${look}.png`), fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  assert.ok(!wide, `${name} scrolls sideways`);
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run());
  const list = violations.map(({ id, impact, nodes }) => `${impact}, ${id}: ${nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(list, [], `${name}: what axe finds`);
}

// Holds once `assertion` does: what is drawn anew is not there for a moment.
export async function settled(assertion) {
  const end = Date.now() + patience.step;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}
