// What the page shows of a report beyond the gates: pictures, weights, differences, hashes.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { artifacts, check, cli, finish, open, pick, saveReport, temporary } from "./harness.mjs";

const eligible = join(artifacts, "eligible.zip");

test("pictures carry a title, and their numbers stand under Show data", async () => {
  const opened = await open();
  const { page } = opened;
  await pick(page, eligible);
  await finish(page);
  assert.equal(await page.locator("svg.bar").count(), 2);
  const [size, budget] = [statSync(eligible).size, 2_517_207];
  const [has, limit, left] = [size, budget, budget - size].map((bytes) => bytes.toLocaleString("en"));
  const title = await page.locator("svg.bar > title").last().textContent();
  assert.ok(title.endsWith(`${has} of ${limit} bytes, ${left} left`), title);
  assert.equal(await page.locator("svg.chart__picture").count(), 4);
  const layers = page.locator("section[aria-labelledby=layers]");
  const bars = await layers.locator("svg").first().locator("rect").count();
  await layers.getByText("Show data").click();
  assert.equal(await layers.locator("tbody tr").count(), bars);
  await check(opened);
});

// The tasks that draw wait from `holdTasks` to `letTasksGo`.
function heldTasks() {
  const usual = window.setTimeout;
  let held;
  window.setTimeout = (task, delay) => (held && !delay ? held.push(task) : usual(task, delay));
  window.holdTasks = () => (held = []);
  window.letTasksGo = () => {
    const tasks = held;
    held = undefined;
    tasks.forEach((task) => usual(task, 0));
  };
}

test("what the headers gave is not drawn into the whole report, and a part is busy until it is there", async () => {
  const texts = async (isHeld) => {
    const opened = await open({ script: heldTasks });
    const { page } = opened;
    if (isHeld) await page.evaluate(() => window.holdTasks());
    await pick(page, eligible);
    if (isHeld) {
      await page.locator("progress").waitFor({ state: "detached" });
      assert.equal(await page.locator("svg.bar").count(), 0, "nothing is drawn");
      assert.ok((await page.locator(".live[aria-busy]").count()) > 0);
      await page.evaluate(() => window.letTasksGo());
    }
    await finish(page);
    assert.equal(await page.locator("svg.bar").count(), 2);
    const parts = await page.locator(".result .live").allTextContents();
    await check(opened);
    return parts;
  };
  assert.deepEqual(await texts(true), await texts(false));
});

// Two thousand weights in a bare safetensors file.
function manyWeights() {
  const header = {};
  for (let i = 0; i < 2_000; i++) {
    header[`model.layers.${i}.w`] = { dtype: "F16", shape: [1 + (i % 7)], data_offsets: [0, 0] };
  }
  let offset = 0;
  for (const tensor of Object.values(header)) {
    const bytes = 2 * tensor.shape[0];
    tensor.data_offsets = [offset, offset + bytes];
    offset += bytes;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const path = join(temporary, "many.safetensors");
  writeFileSync(path, Buffer.concat([length, text, Buffer.alloc(offset)]));
  return path;
}

test("2,000 weights are searched, sorted and scrolled, with only the rows in view", async () => {
  const opened = await open();
  const { page } = opened;
  await pick(page, manyWeights());
  await finish(page);
  const rows = page.locator(".weights tbody tr:not(.spacer)");
  assert.ok((await rows.count()) < 60, "only the rows in view exist");
  assert.equal(await page.locator(".weights table").getAttribute("aria-rowcount"), "2001");
  await page.locator(".weights").evaluate((view) => (view.scrollTop = view.scrollHeight));
  await page.getByRole("rowheader", { name: "model.layers.1999.w" }).waitFor();
  await page.getByRole("button", { name: "Weight" }).click();
  await page.getByRole("rowheader", { name: "model.layers.0.w" }).waitFor();
  const names = await rows.locator("th").allTextContents();
  assert.deepEqual(names.slice(9, 12), ["model.layers.9.w", "model.layers.10.w", "model.layers.11.w"]);
  await page.getByRole("button", { name: "Weight" }).click();
  await page.getByRole("rowheader", { name: "model.layers.1999.w" }).waitFor();
  await page.getByLabel("Search").fill("layers.77.");
  await page.getByText("1 of 2,000 weights").waitFor();
  assert.deepEqual(await rows.locator("th").allTextContents(), ["model.layers.77.w"]);
  // Fast scrolling through the whole table.
  await page.getByLabel("Search").fill("");
  await page.locator(".weights").evaluate(async (view) => {
    for (let top = 0; top < view.scrollHeight; top += 997) {
      view.scrollTop = top;
      await new Promise(requestAnimationFrame);
    }
  });
  await check(opened);
});

test("differences from the manifest are listed by name", async () => {
  const opened = await open();
  const { page } = opened;
  const manifest = page.locator("section[aria-labelledby=manifest]");
  await pick(page, eligible);
  await finish(page);
  assert.match(await manifest.textContent(), /All \d+ weights that config.json asks for are stored once/);
  await pick(page, join(artifacts, "missing-weight.zip"));
  await page.locator("#gate-tensors.gate--bad").waitFor();
  await finish(page);
  const rows = await manifest.locator("tbody tr").allTextContents();
  assert.deepEqual(rows, ["model.norm.weightoncemissing", "model.gone.weightnothingstored"]);
  await check(opened);
});

test("hashes are those of the bytes, can be copied, and a published one is compared", async () => {
  const opened = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  const { page } = opened;
  await pick(page, eligible);
  await finish(page);
  const hash = createHash("sha256").update(readFileSync(eligible)).digest("hex");
  assert.equal(await page.locator(".hash__value").first().textContent(), hash);
  const field = page.getByLabel("Compare with a published SHA-256");
  await field.fill(`sha256:${hash.toUpperCase()}`);
  await page.getByText("✓ This is the hash of eligible.zip.").waitFor();
  await field.fill(hash.replace(/^./, (digit) => (digit === "0" ? "1" : "0")));
  await page.getByText("✗ No file here has this hash.").waitFor();
  await page.getByLabel("Copy the SHA-256 of eligible.zip").click();
  await page.getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), hash);
  await check(opened);
});

test("each tensor is hashed when asked for, as by inspect --hash-tensors", async () => {
  const opened = await open();
  const { page } = opened;
  await pick(page, eligible);
  await finish(page);
  await page.getByRole("button", { name: "Hash each tensor" }).click();
  const summary = page.getByText("SHA-256 of each tensor", { exact: true }).first();
  await summary.click();
  const path = join(temporary, "tensors.json");
  execFileSync(cli, ["inspect", eligible, "--hash-tensors", "--format", "quiet", "--report", path]);
  const report = JSON.parse(readFileSync(path));
  const values = page.locator("details .hash__value");
  assert.deepEqual(await values.allTextContents(), report.tensors.map((tensor) => tensor.sha256));
  assert.ok((await saveReport(page)).equals(readFileSync(path)));
  await page.getByLabel("Compare with a published SHA-256").fill(report.tensors[1].sha256);
  await page.getByText(`✓ This is the hash of ${report.tensors[1].name}.`).waitFor();
  await check(opened);
});

test("config.json is shown as it is", async () => {
  const opened = await open();
  const { page } = opened;
  await pick(page, eligible);
  await finish(page);
  await page.getByText("config.json", { exact: true }).last().click();
  const config = JSON.parse(await page.locator(".config").textContent());
  assert.equal(config.quantization_config.quant_method, "bitpack");
  await check(opened);
});
