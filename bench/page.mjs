// Measures the page in Chromium, beside a yardstick in the same run; it judges nothing. `./test --only web` first, then:
//
//     node bench/page.mjs
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { artifacts, cli, finish, large, memory, open, patience, pick, start, stop, temporary } from "../tests/browser/driver.mjs";
import { serveAway } from "../tests/browser/host.mjs";

const repetitions = 5;
const name = (column) => column.padEnd(64);
const list = (values, digits = 0) => values.map((value) => value.toFixed(digits)).join(", ");
const say = (what, figures) => console.log(`${name(what)} ${figures}`);

// Runs in the page: notes when a file was chosen or a host was connected to, and when the headers' verdict was drawn.
function stopwatch() {
  let began;
  const begin = () => (began = performance.now());
  document.addEventListener("change", begin, true);
  document.addEventListener("click", begin, true);
  const observer = new MutationObserver(() => {
    if (!document.querySelector("#gate-loadable")) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => (window.headers = performance.now() - began)));
  });
  observer.observe(document, { childList: true, subtree: true });
}

// Runs in the page: notes its tasks of more than 50 ms.
function watchTasks() {
  window.longTasks = [];
  const note = (tasks) => window.longTasks.push(...tasks.getEntries().map(({ duration }) => duration));
  new PerformanceObserver(note).observe({ type: "longtask", buffered: true });
}

const headersOf = async (page) => (await page.waitForFunction(() => window.headers)).jsonValue();

// Seconds that a program takes.
function seconds(program, ...given) {
  const begin = performance.now();
  execFileSync(program, given);
  return (performance.now() - begin) / 1_000;
}

async function repeat(once) {
  const results = [];
  for (let i = 0; i < repetitions; i++) results.push(await once());
  return results;
}

async function headers(path) {
  const times = await repeat(async () => {
    const { page, context } = await open({ script: stopwatch });
    await pick(page, path);
    const time = await headersOf(page);
    await context.close();
    return time;
  });
  say("headers' verdict drawn after the choice of a file, ms", list(times));
}

async function byAddress(path) {
  const host = await serveAway({ "large.zip": path });
  const runs = await repeat(async () => {
    const { page, context } = await open({ path: "url.html", script: stopwatch });
    host.seen.length = 0;
    await page.getByLabel(/^Address of/).fill(`${host.origin}/exposed/large.zip`);
    await page.getByRole("button", { name: "Connect to" }).click();
    const time = await headersOf(page);
    await context.close();
    return { time, requests: host.seen.length };
  });
  host.close();
  const trips = runs.map(({ time, requests }) => time / (requests * host.latencyMs));
  say("headers' verdict by address, ms", `${list(runs.map(({ time }) => time))} (${runs[0].requests} requests)`);
  say(`the same, of its requests' latency (${host.latencyMs} ms each)`, list(trips, 2));
}

async function wholePass(path) {
  const megabytes = statSync(path).size / 1e6;
  const before = seconds("sha256sum", path);
  const { page, context } = await open();
  const begin = performance.now();
  await pick(page, path);
  await finish(page, patience.pass);
  const pass = (performance.now() - begin) / 1_000;
  const peak = await memory();
  await context.close();
  const after = seconds("sha256sum", path);
  say(`whole pass over ${(megabytes / 1e3).toFixed(2)} GB, MB/s`, (megabytes / pass).toFixed(0));
  say("sha256sum before and after, MB/s", list([megabytes / before, megabytes / after]));
  say("whole pass, of sha256sum's rate", ((before + after) / 2 / pass).toFixed(2));
  say("renderer's peak, MB", (peak / 1e6).toFixed(0));
}

async function longTasks(what, files) {
  const tasks = await repeat(async () => {
    const { page, context } = await open({ script: watchTasks });
    await pick(page, files);
    await finish(page);
    const longest = Math.max(0, ...(await page.evaluate(() => window.longTasks)));
    await context.close();
    return longest;
  });
  say(`longest task over 50 ms, ${what}, ms (0: none)`, list(tasks));
}

// A model whose config.json asks for 800 weights that it lacks: a long table of differences.
function otherConfig() {
  const config = join(temporary, "config.json");
  copyFileSync(new URL("../tests/fixtures/qwen3.6-27b.config.json", import.meta.url).pathname, config);
  return [config, join(artifacts, "bare.safetensors")];
}

// The command, which needs no browser: its start, and the headers of the same file.
function command(path) {
  const run = (...given) => {
    const begin = performance.now();
    spawnSync(cli, given);
    return performance.now() - begin;
  };
  const times = (...given) => Array.from({ length: repetitions }, () => run(...given));
  say("bitgauge --version, ms", list(times("--version"), 1));
  say("bitgauge inspect --headers-only, ms", list(times("inspect", path, "--headers-only"), 1));
  say("bitgauge inspect --headers-only of 2.5 MB, ms", list(times("inspect", join(artifacts, "eligible.zip"), "--headers-only"), 1));
}

try {
  await start();
  const path = large();
  command(path);
  await headers(path);
  await byAddress(path);
  await longTasks("eligible.zip", join(artifacts, "eligible.zip"));
  await longTasks("a long list of differences", otherConfig());
  await wholePass(path);
} finally {
  await stop();
}
