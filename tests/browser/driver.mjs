// What drives the pages: a static server with them under a folder, a Chromium, and pages that record every request and
// every console message. The suite stands on it (harness.mjs), and so do the measurements in bench/.
import { execFileSync } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

const root = new URL("../..", import.meta.url).pathname;
export const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
export const dist = process.env.INSPECTOR_DIST ?? join(target, "inspector");
export const artifacts = process.env.INSPECTOR_ARTIFACTS ?? join(target, "browser-artifacts");
export const cli = join(target, "release", "bitgauge");
export const temporary = mkdtempSync(join(tmpdir(), "bitgauge-browser-"));

// In milliseconds: these only end what hangs, and say nothing of how fast a machine is. No test has another.
export const patience = {
  // Whatever the page does with a small file.
  step: 5 * 60_000,
  // A pass over 4.4 GB.
  pass: 60 * 60_000,
};

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
    timeout: patience.step,
    // The last gives WebGPU on a software driver where there is no GPU.
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-unsafe-webgpu"],
  });
}

export let site, browser;

export async function start() {
  site = await serve();
  browser = await launch();
}

export async function stop() {
  await browser?.close();
  site?.server.close();
  rmSync(temporary, { recursive: true });
}

// A fresh page whose requests and messages are recorded; `script`, one or several, runs in it before its own.
export async function open({ path = "", hash = "", script, ...options } = {}) {
  const usual = { viewport: { width: 1280, height: 900 }, serviceWorkers: "block" };
  const context = await browser.newContext({ ...usual, ...options });
  context.setDefaultTimeout(patience.step);
  const page = await context.newPage();
  const record = { requests: [], messages: [] };
  context.on("request", (request) => record.requests.push(request.url()));
  page.on("console", (message) => {
    const text = message.text();
    if (text !== "Service Worker registration blocked by Playwright") record.messages.push(`${message.type()}: ${text}`);
  });
  page.on("pageerror", (error) => record.messages.push(`error: ${error}`));
  for (const each of [script ?? []].flat()) await page.addInitScript(each);
  // The browser is told to hand over its file dialogs before any test can open one.
  page.on("filechooser", () => {});
  await page.goto(site.url + path + hash);
  await page.locator("h1").waitFor();
  return { context, page, record };
}

// Does what the page answers to, and waits until it has: first it reads some of a file, and shows nothing new.
export async function answered(page, act) {
  await page.evaluate(() => {
    const root = document.documentElement;
    delete root.dataset.answered;
    const seen = (_, observer) => {
      observer.disconnect();
      root.dataset.answered = "";
    };
    new MutationObserver(seen).observe(document.body, { childList: true, subtree: true });
  });
  await act();
  await page.locator("html[data-answered]").waitFor();
}

// Hands files, or one folder, to the page as the file dialog would.
export async function pick(page, paths) {
  const list = Array.isArray(paths) ? paths : [paths];
  const folder = list.length === 1 && statSync(list[0]).isDirectory();
  const input = page.locator(folder ? "#pick-folder" : "#pick-files");
  await answered(page, () => input.setInputFiles(folder ? list[0] : list));
}

// A sparse zip64 of Qwen3.6-27B's shape, 4.4 GB long, made once.
export function large() {
  const path = join(temporary, "large.zip");
  if (!existsSync(path)) execFileSync(join(target, "release", "large"), [path]);
  return path;
}

// The most memory that a renderer of this browser has had which still runs, in bytes.
export async function memory() {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const peak = ({ id }) => 1_024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]);
  return Math.max(...processInfo.filter(({ type }) => type === "renderer").map(peak));
}

// The verdict, which counts only when the worker has ended; it may not have begun.
export async function finish(page, timeout = patience.step) {
  await page.locator(".result .verdict, [role=alert]").first().waitFor({ state: "attached", timeout });
  await page.locator("progress").waitFor({ state: "detached", timeout });
  await drawn(page);
  return page.locator(".verdict--good, .verdict--bad, .verdict--unsure").first();
}

// When no part of the page is still being drawn: a long report takes several tasks.
export const drawn = (page) => page.locator("[aria-busy]").first().waitFor({ state: "detached" });

// When the page has nothing left to do of what it has begun.
export const idle = (page) => page.evaluate(() => new Promise((done) => requestIdleCallback(() => done())));

// The bytes that the page saves as its report.
export async function saveReport(page) {
  const saved = page.waitForEvent("download");
  await page.getByText("Save report (JSON)").click();
  return readFileSync(await (await saved).path());
}
