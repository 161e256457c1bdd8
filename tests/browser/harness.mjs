// What every browser test stands on: a static server with the page under a folder, a Chromium, and a
// page that records every request and every console message, so that a test can say there were none.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { after, before } from "node:test";
import axe from "axe-core";
import { chromium } from "playwright-core";

const root = new URL("../..", import.meta.url).pathname;
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
export const dist = process.env.INSPECTOR_DIST ?? join(target, "inspector");
export const artifacts = process.env.INSPECTOR_ARTIFACTS ?? join(target, "browser-artifacts");
const screenshots = join(target, "screenshots");
export const cli = join(target, "release", "bitgauge");
export const temporary = mkdtempSync(join(tmpdir(), "bitgauge-browser-"));
mkdirSync(screenshots, { recursive: true });

const types = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

// Serves the page below a folder, as a project's page on a static host is. `stop` takes it off the network.
async function serve() {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    const inside = path.startsWith("/some/folder/") ? path.slice("/some/folder/".length) || "index.html" : null;
    const file = inside && join(dist, inside);
    if (!file || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address();
  return { server, url: `http://127.0.0.1:${port}/some/folder/`, origin: `http://127.0.0.1:${port}` };
}

function executable() {
  const known = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  const found = known.find((path) => path && existsSync(path));
  if (!found) throw new Error("no Chromium found; set CHROMIUM to one");
  return found;
}

async function launch() {
  return chromium.launch({
    executablePath: executable(),
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

let site, browser;

before(async () => {
  site = await serve();
  browser = await launch();
});

after(async () => {
  await browser.close();
  site.server.close();
  rmSync(temporary, { recursive: true });
});

// A fresh page whose requests and messages are recorded; `script` runs in it before its own.
export async function open({ path = "", hash = "", script, ...options } = {}) {
  const usual = { viewport: { width: 1120, height: 900 }, serviceWorkers: "block" };
  const context = await browser.newContext({ ...usual, ...options });
  const page = await context.newPage();
  const record = { requests: [], messages: [] };
  context.on("request", (request) => record.requests.push(request.url()));
  page.on("console", (message) => {
    const text = message.text();
    if (text !== "Service Worker registration blocked by Playwright") record.messages.push(`${message.type()}: ${text}`);
  });
  page.on("pageerror", (error) => record.messages.push(`error: ${error}`));
  if (script) await page.addInitScript(script);
  // The browser is told to hand over its file dialogs before any test can open one.
  page.on("filechooser", () => {});
  // Long tasks of the page's own thread, which must not exceed 50 ms once it has started.
  await page.addInitScript(() => {
    window.longTasks = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.longTasks.push([entry.startTime, entry.duration]);
    }).observe({ type: "longtask", buffered: true });
  });
  await page.goto(site.url + path + hash);
  await page.locator("h1").waitFor();
  return { context, page, record };
}

// Hands files, or one folder, to the page as the file dialog would.
export async function pick(page, paths) {
  const list = Array.isArray(paths) ? paths : [paths];
  const folder = list.length === 1 && statSync(list[0]).isDirectory();
  await page.locator(folder ? "#pick-folder" : "#pick-files").setInputFiles(folder ? list[0] : list);
}

// A sparse zip64 of Qwen3.6-27B's shape, 4.4 GB long, made once.
export function large() {
  const path = join(temporary, "large.zip");
  if (!existsSync(path)) execFileSync(join(target, "release", "large"), [path]);
  return path;
}

// The verdict, which counts only when the worker has ended.
export async function finish(page, timeout = 60_000) {
  await page.locator("progress").waitFor({ state: "detached", timeout });
  return page.locator(".verdict--good, .verdict--bad, .verdict--unsure").first();
}

// The bytes that the page saves as its report.
export async function saveReport(page) {
  const saved = page.waitForEvent("download");
  await page.getByText("Save report (JSON)").click();
  return readFileSync(await (await saved).path());
}

// Ends a test with what must hold after each: nothing left the machine, and nothing was said.
export async function check({ context, record }) {
  const elsewhere = record.requests.filter((url) => !url.startsWith(site.origin) && !url.startsWith("blob:"));
  assert.deepEqual(elsewhere, [], "requests to other origins");
  assert.deepEqual(record.messages, [], "console messages");
  await context.close();
}

// Holds what `act` does on a fresh page to tasks of at most 50 ms. What the page does wrong it does
// each time, what a busy machine adds it does not: one good run of twenty is enough.
export async function neverBlocks(act) {
  let tasks;
  for (let tries = 0; tries < 20; tries++) {
    const opened = await open();
    await act(opened.page);
    tasks = await opened.page.evaluate(() => window.longTasks);
    await check(opened);
    if (tasks.length === 0) return;
  }
  assert.deepEqual(tasks, [], "[start, milliseconds] of tasks over 50 ms");
}

// How the page is looked at.
export const looks = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["narrow", { colorScheme: "light", viewport: { width: 360, height: 740 } }],
];

// Keeps a screenshot, and holds the page to axe's serious rules and to its own width.
export async function examine(page, name, look) {
  await page.screenshot({ path: join(screenshots, `${name}-${look}.png`), fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  assert.ok(!wide, `${name} scrolls sideways`);
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run());
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const list = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(list, [], `${name}: what axe finds serious`);
}
