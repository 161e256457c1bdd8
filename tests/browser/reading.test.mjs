// What the page reads: a few ranges before the headers' verdict, then every byte once. How long that takes is measured by
// bench/page.mjs.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { artifacts, check, finish, large, memory, open, patience, pick } from "./harness.mjs";
import { goOn, inWorkers, reading, told } from "./watch.mjs";

const headers = { ranges: 8, bytes: 512_000 };
// Bytes that are read at once, and so between two returns of a worker to its messages.
const pieceBytes = 1 << 20;
const peakBytes = 300_000_000;

async function sha256(path) {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece);
  return hash.digest("hex");
}

// What was read of a file before its headers' verdict and until the end, and what each worker passed on.
async function readingOf(page, path) {
  await pick(page, path);
  // It is drawn although the pass is held up before its first byte.
  await page.locator("#gate-loadable").waitFor();
  const [before] = await told(page, "the headers' report");
  await goOn(page);
  await finish(page, patience.pass);
  const [after] = await told(page, "the report");
  // To each of three workers a list is sent before the first byte and after the last.
  const passed = (await told(page, "a list", 6)).map((each) => each.passed).sort((a, b) => a - b);
  return { size: statSync(path).size, before, after, passed };
}

function holdToOnePass({ size, before, after, passed }) {
  const bytes = before.ranges.reduce((sum, range) => sum + range, 0);
  console.log(`# of ${size} bytes: ${before.ranges.length} ranges, ${bytes} bytes for the headers, ${after.streamed} for the pass`);
  const few = before.ranges.length <= headers.ranges && bytes <= headers.bytes;
  assert.ok(few, `${before.ranges.length} ranges, ${bytes} bytes for the headers' verdict`);
  assert.equal(before.streamed, 0, "bytes of the pass before the headers' verdict");
  assert.deepEqual(after.ranges, before.ranges, "ranges read beside the pass");
  assert.equal(after.streams, 1, "passes over the file");
  assert.equal(after.streamed, size, "bytes read");
  assert.ok(after.largest <= pieceBytes, `${after.largest} bytes read at once`);
  assert.deepEqual(passed, [0, 0, 0, size, size, size], "bytes that each worker passed on");
}

function holdToMemory(peak) {
  console.log(`# renderer's peak ${(peak / 1e6).toFixed(0)} MB`);
  assert.ok(peak <= peakBytes, `${peak} bytes of memory`);
}

test("4.4 GB: the headers' verdict before the pass, every byte read once, in 300 MB", async () => {
  const path = large();
  const hash = await sha256(path);
  const opened = await open({ script: reading() });
  holdToOnePass(await readingOf(opened.page, path));
  assert.equal(await opened.page.locator(".hash__value").first().textContent(), hash);
  holdToMemory(await memory());
  await check(opened);
});

// Workers that read otherwise, and what is said of them.
const faults = {
  "more for the headers": [
    `const { arrayBuffer } = Blob.prototype;
    Blob.prototype.arrayBuffer = async function () {
      await arrayBuffer.call(new Blob([new Uint8Array(600_000)]));
      return arrayBuffer.call(this);
    };`,
    /ranges, \d+ bytes for the headers/,
  ],
  "a range again": [
    `const { stream } = Blob.prototype;
    Blob.prototype.stream = function () {
      this.slice(0, 1_000).arrayBuffer();
      return stream.call(this);
    };`,
    /ranges read beside the pass/,
  ],
  "the file twice": [
    `const { stream } = Blob.prototype;
    Blob.prototype.stream = function () {
      stream.call(this).getReader().read();
      return stream.call(this);
    };`,
    /passes over the file/,
  ],
  "the whole file at once": [
    `const { stream } = Blob.prototype;
    Blob.prototype.stream = function () {
      stream.call(this);
      const bytes = new Uint8Array(new FileReaderSync().readAsArrayBuffer(this));
      return new ReadableStream({ start: (to) => (to.enqueue(bytes), to.close()) });
    };`,
    /bytes read at once/,
  ],
};

for (const [what, [fault, words]] of Object.entries(faults)) {
  test(`a worker that reads ${what} is caught`, async () => {
    const opened = await open({ script: reading(fault) });
    const read = await readingOf(opened.page, join(artifacts, "eligible.zip"));
    assert.throws(() => holdToOnePass(read), words);
    await check(opened);
  });
}

test("a worker that keeps 300 MB is caught", async () => {
  const opened = await open({ script: inWorkers(`self.kept = new Uint8Array(${peakBytes}).fill(1);`) });
  await pick(opened.page, join(artifacts, "eligible.zip"));
  await finish(opened.page);
  const peak = await memory();
  assert.throws(() => holdToMemory(peak), /bytes of memory/);
  await check(opened);
});

test("of a small file, too, every byte is read once", async () => {
  const opened = await open({ script: reading() });
  holdToOnePass(await readingOf(opened.page, join(artifacts, "eligible.zip")));
  await check(opened);
});
