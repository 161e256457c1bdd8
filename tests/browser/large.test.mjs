// 4.4 GB: the headers' verdict within a second, the whole pass near the speed of sha256sum, in little memory.
// On its own, with all figures: node --test tests/browser/large.test.mjs
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { test } from "node:test";
import { check, finish, large, open, pick } from "./harness.mjs";

const headersSeconds = 1;
const ofSha256sum = 0.75;
// Shared machines change their speed by half within a minute (bench/README.md), so what is too slow is timed again.
const tries = 4;
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

const rate = (bytes, seconds) => `${(bytes / 1e6 / seconds).toFixed(0)} MB/s`;

// Inspects the file in a fresh page; how long until the headers' verdict and until the end.
async function pass(path, hash) {
  const opened = await open();
  const { page } = opened;
  const start = performance.now();
  const since = () => (performance.now() - start) / 1_000;
  await pick(page, path);
  await page.locator("#gate-loadable").waitFor();
  const headers = since();
  await finish(page, 300_000);
  const seconds = since();
  assert.equal(await page.locator(".hash__value").first().textContent(), hash);
  const peak = rendererPeak();
  await check(opened);
  return { headers, seconds, peak };
}

test("4.4 GB: headers in a second, every byte at three quarters of sha256sum's speed, in 300 MB", async () => {
  const path = large();
  const { size } = statSync(path);
  let ratio = 0;
  let before = sha256sum(path);
  for (let tried = 0; tried < tries && ratio < ofSha256sum; tried++) {
    const { headers, seconds, peak } = await pass(path, before.hash);
    const after = sha256sum(path);
    ratio = (before.seconds + after.seconds) / 2 / seconds;
    console.log(
      `# ${(size / 1e9).toFixed(2)} GB: headers after ${(1_000 * headers).toFixed(0)} ms; all in ${seconds.toFixed(1)} s, ` +
        `${rate(size, seconds)}; sha256sum ${rate(size, before.seconds)} before and ${rate(size, after.seconds)} after: ` +
        `${ratio.toFixed(2)} of its rate; renderer's peak ${(peak / 1e6).toFixed(0)} MB`,
    );
    assert.ok(headers <= headersSeconds, `the headers took ${headers} s`);
    assert.ok(peak <= peakBytes, `${peak} bytes of memory`);
    before = after;
  }
  assert.ok(ratio >= ofSha256sum, `${ratio} of sha256sum's rate, in the last of ${tries} passes`);
});
