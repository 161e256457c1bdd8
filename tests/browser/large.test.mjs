// 4.4 GB: the headers' verdict within a second, the whole pass near the speed of sha256sum, in little memory.
// On its own, with all figures: node --test tests/browser/large.test.mjs
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { test } from "node:test";
import { check, finish, large, open, pick } from "./harness.mjs";

const headersMs = 1_000;
// The aim is 0.75, which two cores reach in 9 of 23 runs (0.57 to 0.99, bench/README.md): two hashes and all checks
// are more work than those can do in that time. This only keeps the pass from getting slower unnoticed.
const ofSha256sum = 0.5;
const peakBytes = 300_000_000;

// Most memory that any renderer of this browser has had, in bytes.
function rendererPeak() {
  let peak = 0;
  for (const process of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${process}/cmdline`, "utf8").includes("--type=renderer")) continue;
      const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${process}/status`, "utf8"));
      peak = Math.max(peak, 1_024 * Number(kilobytes));
    } catch {
      // It ended meanwhile.
    }
  }
  return peak;
}

function sha256sum(path) {
  const start = performance.now();
  const [hash] = execFileSync("sha256sum", [path], { encoding: "utf8" }).split(" ");
  return { hash, seconds: (performance.now() - start) / 1_000 };
}

// Notes how long after the choice of a file its headers' verdict was drawn.
const stopwatch = () => {
  let chosen;
  document.addEventListener("change", () => (chosen = performance.now()), true);
  const observer = new MutationObserver(() => {
    if (!document.querySelector("#gate-loadable")) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => (window.headers = performance.now() - chosen)));
  });
  observer.observe(document, { childList: true, subtree: true });
};

// Opens the file on a fresh page, until the headers' verdict is drawn. What a busy machine adds it does not add each
// time: one good run of five is enough.
async function openHeaders(path) {
  for (let tries = 1; ; tries++) {
    const opened = await open({ script: stopwatch });
    const start = performance.now();
    await pick(opened.page, path);
    const headers = await (await opened.page.waitForFunction(() => window.headers)).jsonValue();
    if (headers <= headersMs || tries === 5) return { opened, start, headers };
    console.log(`# the headers took ${headers.toFixed(0)} ms`);
    await check(opened);
  }
}

test("4.4 GB: headers in a second, every byte near the speed of sha256sum, in 300 MB", async () => {
  const path = large();
  const gigabytes = statSync(path).size / 1e9;
  const before = sha256sum(path);
  const { opened, start, headers } = await openHeaders(path);
  const { page } = opened;
  await finish(page, 300_000);
  const seconds = (performance.now() - start) / 1_000;
  const peak = rendererPeak();
  const after = sha256sum(path);
  const ratio = (before.seconds + after.seconds) / 2 / seconds;
  assert.equal(await page.locator(".hash__value").first().textContent(), before.hash);
  const rate = (seconds) => `${(1_000 * gigabytes / seconds).toFixed(0)} MB/s`;
  console.log(
    `# ${gigabytes.toFixed(2)} GB: headers after ${headers.toFixed(0)} ms; all in ${seconds.toFixed(1)} s, ${rate(seconds)}; ` +
      `sha256sum ${rate(before.seconds)} before and ${rate(after.seconds)} after: ${ratio.toFixed(2)} of its rate; ` +
      `renderer's peak ${(peak / 1e6).toFixed(0)} MB`,
  );
  await check(opened);
  assert.ok(headers <= headersMs, `the headers took ${headers} ms`);
  assert.ok(peak <= peakBytes, `${peak} bytes of memory`);
  assert.ok(ratio >= ofSha256sum, `${ratio} of sha256sum's rate`);
});
