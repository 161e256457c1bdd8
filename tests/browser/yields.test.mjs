// The page never holds the browser up: it draws a report bit by bit, and returns to the browser in between. How long its
// tasks take is measured by bench/page.mjs.
import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { artifacts, check, finish, idle, open, pick, temporary } from "./harness.mjs";
import { neverYields, tasksCounted, work } from "./watch.mjs";

// The most elements that a task may make before it returns to the browser.
const mostElements = 400;

const onePicked = async (page) => {
  await pick(page, join(artifacts, "eligible.zip"));
  await finish(page);
};

// A model of 2,000 weights that its config.json does not ask for, and without all that it does ask for: one table of
// differences, and a list of the weights' hashes.
async function longReport(page) {
  const header = {};
  for (let i = 0; i < 2_000; i++) header[`model.layers.${i}.w`] = { dtype: "F16", shape: [1], data_offsets: [2 * i, 2 * i + 2] };
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const [weights, config] = ["model.safetensors", "config.json"].map((name) => join(temporary, name));
  writeFileSync(weights, Buffer.concat([length, text, Buffer.alloc(4_000)]));
  copyFileSync(new URL("../fixtures/qwen3.6-27b.config.json", import.meta.url).pathname, config);
  await pick(page, [config, weights]);
  await finish(page);
  await page.getByRole("button", { name: "Hash each tensor" }).click();
  await page.getByText("SHA-256 of each tensor", { exact: true }).first().waitFor();
  await finish(page);
}

// What the page does while it starts and while `act` runs.
async function workOf(act, script) {
  const opened = await open({ script });
  await act(opened.page);
  await idle(opened.page);
  const done = await work(opened.page);
  await check(opened);
  return done;
}

const bounded = ({ elements, mostElements: most }) =>
  assert.ok(most <= mostElements, `${most} of ${elements} elements are made without a return to the browser`);

test("a report is drawn bit by bit, however long it is", async () => {
  bounded(await workOf(onePicked, tasksCounted));
  const long = await workOf(longReport, tasksCounted);
  assert.ok(long.elements > 20_000, `${long.elements} elements are too few to tell`);
  bounded(long);
});

test("a page that draws all at once is caught", async () => {
  const done = await workOf(onePicked, [tasksCounted, neverYields]);
  assert.throws(() => bounded(done), /without a return to the browser/);
});
