// What the first screen does not need: the worker that judges is fetched with the first file, that for rarer formats when
// one of them is opened.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { artifacts, check, cli, examine, finish, idle, looks, open, pick, saveReport, temporary } from "./harness.mjs";

const asked = ({ requests }, module) => requests.filter((url) => url.includes(`/${module}`)).map((url) => url.split(".").pop());
const fetched = (record) => asked(record, "formats");

test("the worker that judges is fetched with the first file, and once", async () => {
  const opened = await open();
  const { page, record } = opened;
  await idle(page);
  assert.deepEqual(asked(record, "worker"), []);
  for (const name of ["eligible.zip", "deflated.zip"]) {
    await pick(page, join(artifacts, name));
    await page.locator(".subject__name", { hasText: name }).waitFor();
    await finish(page);
  }
  const modules = asked(record, "worker");
  assert.deepEqual(modules.filter((kind) => kind === "wasm"), ["wasm"]);
  assert.ok(modules.includes("js"));
  await check(opened);
});

test("a worker that does not come is asked for again with the next file", async () => {
  const opened = await open();
  const { page, context, record } = opened;
  await context.route(/\/worker_bg/, (route) => route.abort());
  await pick(page, join(artifacts, "eligible.zip"));
  await page.getByText("the inspection broke off").waitFor();
  await context.unroute(/\/worker_bg/);
  await pick(page, join(artifacts, "eligible.zip"));
  await (await finish(page)).and(page.locator(".verdict--good")).waitFor();
  record.messages = record.messages.filter((message) => !/Failed to (fetch|load)/.test(message));
  await check(opened);
});

test("their worker is fetched when it is needed", async () => {
  const opened = await open();
  const { page, record } = opened;
  await pick(page, join(artifacts, "eligible.zip"));
  await finish(page);
  // Nor in vain, when there is nothing else to do.
  await idle(page);
  assert.deepEqual(fetched(record), []);
  for (const name of ["eligible.tar.xz", "eligible.tar.bz2", "eligible.tar.lzma"]) {
    await pick(page, join(artifacts, name));
    await page.locator(".subject__name", { hasText: name }).waitFor();
    await (await finish(page)).and(page.locator(".verdict--good")).waitFor();
  }
  assert.deepEqual(new Set(fetched(record)), new Set(["js", "wasm"]));
  // A zip whose members only that worker unpacks; of a model that nobody knows.
  await pick(page, join(artifacts, "bzip2-member.zip"));
  await page.locator(".subject__name", { hasText: "bzip2-member.zip" }).waitFor();
  await (await finish(page)).and(page.locator(":not(.verdict--good)")).waitFor();
  await check(opened);
});

test("without it they can't be judged, and the page says why", async () => {
  const opened = await open();
  const { page, context, record } = opened;
  await context.route(/\/formats/, (route) => route.abort());
  await pick(page, join(artifacts, "eligible.tar.xz"));
  await page.getByText("the inspection broke off").waitFor();
  assert.match(await page.locator(".verdict").textContent(), /Failed to fetch/);
  record.messages = record.messages.filter((message) => !/Failed to (fetch|load)/.test(message));
  await check(opened);
});

test("a JSON artifact is judged by the limits that are chosen", async () => {
  const opened = await open();
  const { page } = opened;
  const path = join(artifacts, "proxy-over.json");
  await pick(page, path);
  await page.locator("#gate-compressed_size.gate--bad").waitFor();
  assert.equal(await page.getByRole("button", { name: "Hash each tensor" }).count(), 0);
  await page.getByLabel("ternary").check();
  await page.locator("#gate-compressed_size.gate--good").waitFor();
  const report = join(temporary, "proxy-ternary.json");
  const command = ["inspect", path, "--pack", "ternary", "--format", "quiet", "--report", report];
  assert.throws(() => execFileSync(cli, command), { status: 3 });
  assert.ok((await saveReport(page)).equals(readFileSync(report)));
  await check(opened);
});

for (const [look, options] of looks) {
  test(`${look}: a JSON artifact looks right`, async () => {
    const opened = await open(options);
    await pick(opened.page, join(artifacts, "proxy-over.json"));
    await opened.page.locator("#gate-compressed_size").waitFor();
    await finish(opened.page);
    await examine(opened.page, "proxy", look);
    await check(opened);
  });
}
