// What is dropped anywhere on the pages, and what people drop by accident; and results that survive a reload.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { answered, artifacts, check, cli, drawn, examine, finish, looks, open, pick, temporary } from "./harness.mjs";

const [eligible, over] = ["eligible.zip", "over-budget.zip"].map((name) => join(artifacts, name));

// Drops files and folders onto an element, as the browser does with those of a file manager.
async function drop(page, paths, on = "footer") {
  const session = await page.context().newCDPSession(page);
  await page.locator(on).first().scrollIntoViewIfNeeded();
  const box = await page.locator(on).first().boundingBox();
  const at = { x: box.x + box.width / 2, y: box.y + Math.min(box.height, 40) / 2 };
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  const send = (type) => session.send("Input.dispatchDragEvent", { type, ...at, data });
  for (const type of ["dragEnter", "dragOver"]) await send(type);
  await answered(page, () => send("drop"));
  await session.detach();
}

function file(name, content) {
  const path = join(temporary, name);
  writeFileSync(path, content);
  return path;
}

function reportOf(path) {
  const report = join(temporary, "dropped.json");
  spawnSync(cli, ["inspect", path, "--format", "quiet", "--report", report]);
  return report;
}

test("a file, a folder and parts of a model are dropped anywhere", async () => {
  const opened = await open();
  const { page } = opened;
  await drop(page, [eligible]);
  await (await finish(page)).and(page.locator(".verdict--good")).waitFor();
  assert.equal(await page.title(), "eligible.zip · Inspect · bitgauge");
  await drop(page, [join(artifacts, "folder")], "h1");
  await page.locator(".subject__name", { hasText: "folder" }).waitFor();
  // Unpacked it is over its own budget.
  await (await finish(page)).and(page.locator(".verdict--bad")).waitFor();
  const parts = ["config.json", "model.safetensors"].map((name) => join(artifacts, "folder", name));
  await drop(page, parts);
  await page.locator(".subject__name", { hasText: "2 files" }).waitFor();
  await finish(page);
  await check(opened);
});

test("two artifacts lead to the comparison, an artifact with its report to the check", async () => {
  const opened = await open();
  const { page } = opened;
  await drop(page, [eligible, reportOf(eligible)]);
  await page.getByText("Same bytes").waitFor();
  await drop(page, [eligible, over]);
  await page.getByText("eligible.zip ranks first").waitFor();
  assert.match(page.url(), /compare\.html$/);
  assert.equal(await page.getByRole("link", { name: "Compare two" }).getAttribute("aria-current"), "page");
  assert.equal(await page.title(), "eligible.zip and over-budget.zip · Compare two · bitgauge");
  await check(opened);
});

test("on the comparison one file goes where it is dropped, two to both sides", async () => {
  const opened = await open({ path: "compare.html" });
  const { page } = opened;
  const side = (name) => page.getByRole("region", { name, exact: true }).locator(".subject__name");
  await drop(page, [over], "[aria-label=Second]");
  await side("Second").getByText("over-budget.zip").waitFor();
  await drop(page, [eligible]);
  await side("First").getByText("eligible.zip").waitFor();
  await page.getByText("eligible.zip ranks first").waitFor();
  await drop(page, [over, eligible]);
  await side("First").getByText("over-budget.zip").waitFor();
  await side("Second").getByText("eligible.zip").waitFor();
  await check(opened);
});

test("the page for addresses opens no files of this machine", async () => {
  const opened = await open({ path: "url.html" });
  await drop(opened.page, [eligible]);
  await opened.page.getByText("opens no files of this machine").waitFor();
  assert.match(opened.page.url(), /url\.html$/);
  await check(opened);
});

// A snapshot in the cache of Hugging Face, and the folder of the repository around it.
function cache() {
  const repository = join(temporary, "models--o--m");
  const snapshot = join(repository, "snapshots", "0123456789abcdef0123456789abcdef01234567");
  mkdirSync(snapshot, { recursive: true });
  mkdirSync(join(repository, "blobs"));
  for (const [name, blob] of [["config.json", "aa"], ["model.safetensors", "bb"]]) {
    copyFileSync(join(artifacts, "folder", name), join(repository, "blobs", blob));
    symlinkSync(join("..", "..", "blobs", blob), join(snapshot, name));
  }
  return { repository, snapshot };
}

test("what is dropped by accident is named", async () => {
  const { repository, snapshot } = cache();
  const adapter = join(temporary, "adapter");
  mkdirSync(adapter);
  writeFileSync(join(adapter, "adapter_config.json"), "{}");
  const opened = await open();
  const { page } = opened;
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n";
  for (const [paths, words] of [
    [[file("pointer.safetensors", pointer)], /Git LFS pointer/],
    [[file("weights.pt", "PK\x03\x04")], /pickle/],
    [[adapter], /LoRA adapter/],
    [[file("model.onnx", "\x08\x07")], /ONNX graph/],
    [[join(artifacts, "folder", "config.json")], /only the configuration/],
    [[eligible, over, join(artifacts, "deflated.zip")], /several artifacts/],
    [[snapshot], /shows no files in this folder/],
    [[repository], /shows no files in this folder/],
  ]) {
    await drop(page, paths);
    await page.locator(".verdict__sentence", { hasText: words }).waitFor();
    assert.equal(await page.getByRole("alert").locator("dt", { hasText: "what to do" }).count(), 1, `${words}`);
  }
  assert.match(await page.getByRole("alert").textContent(), /hf:\/\/o\/m/);
  // Commands in what is said are code, without the backticks of the terminal.
  assert.ok((await page.getByRole("alert").locator("code").allTextContents()).includes("cp -rL FOLDER COPY"));
  assert.ok(!(await page.locator("main").textContent()).includes("`"));
  await check(opened);
});

test("a maker's own layout is taken with the artifact or after it, as by --layout", async () => {
  // MLX's own format under a method and code that nobody knows, as in tests/cli/layouts.rs.
  const sample = new URL("../fixtures/packings/mlx1-folder", import.meta.url).pathname;
  const own = join(temporary, "own");
  mkdirSync(own);
  for (const name of ["model.safetensors", "tokenizer.json", "tokenizer_config.json"]) copyFileSync(join(sample, name), join(own, name));
  const config = JSON.parse(readFileSync(join(sample, "config.json")));
  writeFileSync(join(own, "config.json"), JSON.stringify({ ...config, quantization_config: { quant_method: "own" } }));
  const layout = file("mine.toml", `name = "mine"
[tensors]
codes = "weight"
scales = "scales"
zeros = "biases"
[words]
bits = 1
[values]
zero = "bias"
inputs = 128
`);
  const report = join(temporary, "layout.json");
  const inspect = (...options) => spawnSync(cli, ["inspect", own, "--format", "quiet", "--report", report, ...options]);
  inspect();
  const without = readFileSync(report);
  inspect("--layout", layout);
  const expected = readFileSync(report);
  assert.ok(!expected.equals(without), "the layout makes a difference");
  const opened = await open();
  const { page } = opened;
  const saved = async () => {
    const download = page.waitForEvent("download");
    await page.getByText("Save report (JSON)").click();
    return readFileSync(await (await download).path());
  };
  await drop(page, [own, layout]);
  await page.getByText("by the layout that you gave").waitFor();
  await finish(page);
  assert.ok((await saved()).equals(expected), "together");
  await drop(page, [own]);
  await page.getByText("by the layout that you gave").waitFor({ state: "detached" });
  await finish(page);
  assert.ok((await saved()).equals(without), "without");
  await drop(page, [layout]);
  await page.getByText("by the layout that you gave").waitFor();
  await finish(page);
  assert.ok((await saved()).equals(expected), "after");
  await drop(page, [file("faulty.toml", "name = ")]);
  await page.getByText("the layout is not valid TOML").waitFor();
  await check(opened);
});

test("the demo is fetched when asked for", async () => {
  const opened = await open();
  const { page, record } = opened;
  assert.equal(record.requests.filter((url) => url.endsWith("example.zip")).length, 0);
  await page.getByRole("button", { name: /^Try the demo/ }).click();
  await (await finish(page)).and(page.locator(".verdict--good")).waitFor();
  assert.equal(await page.title(), "demo.zip · Inspect · bitgauge");
  assert.equal(record.requests.filter((url) => url.endsWith("example.zip")).length, 1);
  await check(opened);
});

test("results survive a reload and the way back, until they are cleared", async () => {
  const opened = await open();
  const { page } = opened;
  await pick(page, eligible);
  await finish(page);
  await page.reload();
  await page.getByText("This was found earlier in this tab").waitFor();
  await page.locator(".verdict--good").waitFor();
  const saved = page.waitForEvent("download");
  await page.getByText("Save report (JSON)").click();
  assert.ok(readFileSync(await (await saved).path()).equals(readFileSync(reportOf(eligible))), "the report is the same");
  await page.getByRole("link", { name: "By address" }).click();
  await page.getByLabel(/^Address of/).waitFor();
  await page.goBack();
  await page.locator(".subject__name", { hasText: "eligible.zip" }).waitFor();
  // Another tab does not see it.
  const other = await open();
  await other.page.getByText("Nothing is uploaded", { exact: true }).waitFor();
  assert.equal(await other.page.locator(".verdict").count(), 0);
  await check(other);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.locator(".verdict").waitFor({ state: "detached" });
  await page.reload();
  await page.getByText("Nothing is uploaded", { exact: true }).waitFor();
  assert.equal(await page.locator(".verdict").count(), 0);
  await check(opened);
});

test("both sides of a comparison survive a reload", async () => {
  const opened = await open({ path: "compare.html" });
  const { page } = opened;
  await drop(page, [eligible, over]);
  await page.getByText("eligible.zip ranks first").waitFor();
  await page.locator("progress").first().waitFor({ state: "detached" });
  await drawn(page);
  await page.reload();
  await page.getByText("eligible.zip ranks first").waitFor();
  await check(opened);
});

for (const [look, options] of looks) {
  test(`${look}: an accident looks right`, async () => {
    const opened = await open(options);
    await drop(opened.page, [join(artifacts, "folder", "config.json")]);
    await opened.page.getByRole("alert").waitFor();
    await examine(opened.page, "accident", look);
    await check(opened);
  });
}
