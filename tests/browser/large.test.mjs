// 4.4 GB: the headers' verdict comes from a few ranges, the pass reads every byte once, all in little memory. How long that
// takes is measured by bench/page.mjs.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { test } from "node:test";
import { check, finish, large, memory, open, patience, pick } from "./harness.mjs";
import { goOn, reading, told } from "./watch.mjs";

const headers = { ranges: 8, bytes: 512_000 };
// Bytes that are read at once, and so between two returns of a worker to its messages.
const pieceBytes = 1 << 20;
const peakBytes = 300_000_000;

async function sha256(path) {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece);
  return hash.digest("hex");
}

test("4.4 GB: the headers' verdict before the pass begins, every byte read once, in 300 MB", async () => {
  const path = large();
  const { size } = statSync(path);
  const hash = await sha256(path);
  const opened = await open({ script: reading({ hold: true }) });
  const { page } = opened;
  await pick(page, path);
  // It is drawn although the pass is held up before its first byte.
  await page.locator("#gate-loadable").waitFor();
  const [before] = await told(page, "the headers' report");
  const bytes = before.ranges.reduce((sum, range) => sum + range, 0);
  console.log(`# the headers took ${before.ranges.length} ranges, ${bytes} bytes`);
  assert.ok(before.ranges.length <= headers.ranges && bytes <= headers.bytes, `${before.ranges.length} ranges, ${bytes} bytes`);
  assert.equal(before.streamed, 0);

  await goOn(page);
  await finish(page, patience.pass);
  assert.equal(await page.locator(".hash__value").first().textContent(), hash);
  const [after] = await told(page, "the report");
  assert.deepEqual(after.ranges, before.ranges, "ranges that are read beside the pass");
  assert.equal(after.streams, 1, "passes over the file");
  assert.equal(after.streamed, size, "bytes read");
  assert.ok(after.largest <= pieceBytes, `${after.largest} bytes at once`);
  // To each of three workers a list is sent before the first byte and after the last.
  const lists = await told(page, "a list", 6);
  assert.deepEqual(lists.map(({ passed }) => passed).sort((a, b) => a - b), [0, 0, 0, size, size, size], "bytes passed on");
  const peak = await memory();
  console.log(`# ${size} bytes read once; renderer's peak ${(peak / 1e6).toFixed(0)} MB`);
  assert.ok(peak <= peakBytes, `${peak} bytes of memory`);
  await check(opened);
});
