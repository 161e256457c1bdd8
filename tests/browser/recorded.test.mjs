// Archives and model folders whose answers by Python and transformers are recorded (tests/differential): of a sample of them
// the page says what the command says, which is held to those answers by a suite of its own.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { artifacts, check, cli, finish, open, pick, saveReport, temporary } from "./harness.mjs";

const folder = join(artifacts, "recorded");
const names = readdirSync(folder).sort();

// What the command says: its report, or the first line of its error.
function said(name) {
  const report = join(temporary, `${name}.json`);
  const { status, stderr } = spawnSync(cli, ["inspect", join(folder, name), "--format", "quiet", "--report", report], { encoding: "utf8" });
  return status === 2 ? { error: stderr.replace(/^error: /, "").split("\n")[0] } : { report: readFileSync(report, "utf8") };
}

// What the page says.
async function shown(page, name) {
  await pick(page, join(folder, name));
  // The name stands above a report and in an error.
  await page.locator("main").getByText(name).first().waitFor();
  const verdict = await finish(page);
  const word = await verdict.locator(".verdict__word").textContent();
  if (word === "Can’t be judged") return { error: await verdict.locator(".verdict__sentence").textContent() };
  return { report: (await saveReport(page)).toString() };
}

// How many of these end in a report, and how many in an error.
async function compare(kind, count) {
  const those = names.filter((name) => name.startsWith(kind));
  assert.equal(those.length, count);
  const opened = await open();
  const found = { report: 0, error: 0 };
  for (const name of those) {
    const [page, command] = [await shown(opened.page, name), said(name)];
    assert.deepEqual(page, command, name);
    found["report" in command ? "report" : "error"] += 1;
  }
  await check(opened);
  return found;
}

test("40 recorded archives: the page says what the command says", async () => {
  const { report, error } = await compare("archive-", 40);
  assert.ok(report > 10 && error > 10, JSON.stringify({ report, error }));
});

test("30 recorded model folders: the page says what the command says", async () => {
  const { report, error } = await compare("model-", 30);
  assert.ok(report > 20 && error > 0, JSON.stringify({ report, error }));
});
