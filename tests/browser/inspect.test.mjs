// Local files: what the page says of each artifact of the corpus is what the command line says.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { artifacts, check, cli, drawn, examine, finish, looks, open, pick, saveReport, temporary } from "./harness.mjs";
import { inWorkers, started, workersCounted } from "./watch.mjs";

const words = { 0: "Eligible", 1: "Not eligible", 3: "Inconclusive" };

for (const name of readdirSync(artifacts).filter((name) => name !== "recorded").sort()) {
  const path = join(artifacts, name);
  const report = join(temporary, `${name}.json`);
  const run = spawnSync(cli, ["inspect", path, "--format", "quiet", "--report", report], { encoding: "utf8" });

  test(`${name}: the page says what the command line says (exit ${run.status})`, async () => {
    const opened = await open();
    const { page } = opened;
    await pick(page, path);
    const verdict = await finish(page);
    const word = await verdict.locator(".verdict__word").textContent();
    if (run.status === 2) {
      assert.equal(word, "Can’t be judged");
      const [what] = run.stderr.replace(/^error: /, "").split("\n");
      assert.equal(await verdict.locator(".verdict__sentence").textContent(), what);
    } else {
      assert.equal(word, words[run.status]);
      const saved = await saveReport(page);
      assert.ok(saved.equals(readFileSync(report)), "the saved report differs from that of bitgauge inspect --report");
    }
    assert.equal(await page.locator("main img, main script").count(), 0, "text of the artifact became markup");
    await check(opened);
  });
}

test("a mutated file gets another report: the comparison above can fail", async () => {
  const path = join(temporary, "eligible.zip");
  const bytes = readFileSync(join(artifacts, "eligible.zip"));
  // The comment that a zip may end with.
  bytes.writeUInt16LE(1, bytes.length - 2);
  writeFileSync(path, Buffer.concat([bytes, Buffer.from("!")]));
  const opened = await open();
  await pick(opened.page, path);
  await finish(opened.page);
  const original = join(temporary, "eligible.zip.json");
  assert.ok(!(await saveReport(opened.page)).equals(readFileSync(original)));
  await check(opened);
});

test("limits can be changed without reading again, and the report is that of --pack ternary", async () => {
  const opened = await open();
  const { page } = opened;
  const path = join(artifacts, "over-budget.zip");
  await pick(page, path);
  await finish(page);
  await page.getByLabel("ternary").check();
  await page.locator(".verdict--good").waitFor();
  const report = join(temporary, "ternary.json");
  execFileSync(cli, ["inspect", path, "--pack", "ternary", "--format", "quiet", "--report", report]);
  assert.ok((await saveReport(page)).equals(readFileSync(report)));
  await check(opened);
});

// A bare safetensors file that is nearly all hole, so that the pass takes some seconds.
function sparse(bytes) {
  const header = JSON.stringify({ hole: { dtype: "U8", shape: [bytes], data_offsets: [0, bytes] } });
  const path = join(temporary, "sparse.safetensors");
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([length, Buffer.from(header)]));
  truncateSync(path, 8 + header.length + bytes);
  return path;
}

// They tell when they refused.
const olderBrowsers = {
  "without BYOB readers": `
    const { getReader } = ReadableStream.prototype;
    ReadableStream.prototype.getReader = function (options) {
      if (!options?.mode) return getReader.call(this);
      new BroadcastChannel("told").postMessage("refused");
      throw new TypeError("no such reader");
    };`,
  "whose BYOB readers know no least length": `
    const { read } = ReadableStreamBYOBReader.prototype;
    ReadableStreamBYOBReader.prototype.read = function (view, options) {
      if (options.min > 1) new BroadcastChannel("told").postMessage("refused");
      return read.call(this, view.subarray(0, 50_000));
    };`,
};

for (const [which, prelude] of Object.entries(olderBrowsers)) {
  test(`browsers ${which} read files, too, with and without files' own hashes`, async () => {
    const opened = await open({ script: inWorkers(prelude) });
    const { page } = opened;
    // Longer than all buffers that the workers share.
    const ballast = sparse(20_000_000);
    for (const path of [join(artifacts, "eligible.zip"), join(artifacts, "folder"), ballast]) {
      await pick(page, path);
      await page.locator(".subject__name", { hasText: basename(path) }).waitFor();
      await finish(page);
      await page.getByRole("button", { name: "Hash each tensor" }).waitFor();
      const report = join(temporary, "other-reader.json");
      spawnSync(cli, ["inspect", path, "--format", "quiet", "--report", report]);
      assert.ok((await saveReport(page)).equals(readFileSync(report)), path);
    }
    assert.ok((await page.evaluate(() => window.told)).includes("refused"), "the browser's own reader was used");
    await check(opened);
  });
}

test("Cancel ends the pass at once, and what the headers showed stays", async () => {
  const opened = await open({ script: workersCounted });
  const { page } = opened;
  await pick(page, sparse(3_000_000_000));
  await page.locator(".gates").waitFor();
  await page.locator(".reading__words", { hasText: "/s ·" }).waitFor();
  // One that reads, two that hash.
  await started(page, 3);
  // The click itself ends them: nothing is waited for.
  const ended = await page.getByRole("button", { name: "Cancel" }).evaluate((button) => (button.click(), window.workers));
  assert.deepEqual(ended, { started: 3, ended: 3 });
  await page.locator("progress").waitFor({ state: "detached" });
  await drawn(page);
  assert.match(await page.locator(".notice").textContent(), /Cancelled/);
  assert.equal(await page.locator("#gate-loadable").count(), 1);
  await pick(page, join(artifacts, "eligible.zip"));
  await (await finish(page)).and(page.locator(".verdict--good")).waitFor();
  await check(opened);
});

const withoutMemory = {
  "breaks": inWorkers(`addEventListener("message", ({ data }) => {
    if (Array.isArray(data) && data[0] === '"Hash"') setTimeout(() => { throw new Error("no more memory"); });
  });`),
  "can’t be started": `
    const Original = Worker;
    let started = 0;
    window.Worker = class extends Original {
      constructor(...given) {
        if (++started === 2) throw new Error("no more memory");
        super(...given);
      }
    };`,
};

for (const [what, script] of Object.entries(withoutMemory)) {
  test(`a worker that ${what} ends the inspection and all other workers`, async () => {
    const opened = await open({ script: [script, workersCounted] });
    const { page } = opened;
    await pick(page, sparse(3_000_000_000));
    const fault = page.getByRole("alert").filter({ hasText: "the inspection broke off" });
    assert.match(await fault.locator(".fault").textContent(), /found(Uncaught Error: )?no more memorywhat to do/);
    const { started, ended } = await page.evaluate(() => window.workers);
    assert.ok(started > 0 && started === ended, `${started} workers started, ${ended} ended`);
    // The browser's console may have it, too: from each of the two that broke.
    for (const message of opened.record.messages.splice(0)) assert.match(message, /^error: .*no more memory/);
    await check(opened);
  });
}

test("the keyboard alone is enough", async () => {
  const opened = await open();
  const { page } = opened;
  // The three pages' links come first.
  for (let i = 0; i < 4; i++) await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "pick-files");
  const chooser = page.waitForEvent("filechooser");
  await page.keyboard.press("Enter");
  await (await chooser).setFiles(join(artifacts, "eligible.zip"));
  await finish(page);
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.textContent.startsWith("Save report"))) break;
  }
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
  assert.equal(download.suggestedFilename(), "eligible.zip.report.json");
  await check(opened);
});

for (const [look, options] of looks) {
  test(`${look}: axe finds nothing serious, nothing scrolls sideways; screenshots are kept`, async () => {
    const opened = await open(options);
    const { page } = opened;
    await examine(page, "start", look);
    for (const name of ["eligible.zip", "over-budget.zip", "missing-weight.zip", "bad-code.zip", "unknown-method.zip"]) {
      await pick(page, join(artifacts, name));
      await finish(page);
      await examine(page, name.replace(".zip", ""), look);
    }
    await check(opened);
  });
}
