// The box that measures a perplexity, as a user meets it, on WebGPU's software driver.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { serveAway } from "./host.mjs";
import { artifacts, check, cli, drawn, examine, finish, looks, open, pick, saveReport, temporary } from "./harness.mjs";

const eligible = join(artifacts, "eligible.zip");
// One short document and one that takes some seconds.
const texts = ["Returns the number of elements.", "An iterator over the entries of a map. ".repeat(20)];
const documents = join(temporary, "held-out.json");
writeFileSync(documents, JSON.stringify(texts));

const box = (page) => page.locator("section.measure");
const measured = (page) => box(page).locator(".measure__result").waitFor();

// Opens the artifact, and gives the box its documents.
async function ready(page, files = documents, artifact = eligible) {
  await pick(page, artifact);
  await finish(page);
  await box(page).getByLabel("Files").check();
  await box(page).locator("#measure-files").setInputFiles(files);
}

// The command's evaluation of one document.
function commands(text, tokens) {
  const [document, written] = [join(temporary, "text.txt"), join(temporary, "text.json")];
  writeFileSync(document, text);
  execFileSync(cli, ["eval", eligible, "--documents", document, "--max-tokens", `${tokens}`, "--device", "cpu", "--report", written]);
  return JSON.parse(readFileSync(written)).evaluation;
}

const begin = (page, name = "Measure perplexity") => box(page).getByRole("button", { name }).click();

test("a perplexity is the command's, in the report, its JSON and its link; modules come at the click, from here", async () => {
  const opened = await open();
  const { page, record } = opened;
  await ready(page);
  await box(page).getByLabel("Longest document, in tokens").fill("24");
  const before = record.requests.length;
  assert.ok(!record.requests.some((url) => /(evaluate|tokenize)/.test(url)), "modules wait for the click");
  await begin(page);
  await measured(page);
  await drawn(page);
  const fetched = record.requests.slice(before).filter((url) => !url.startsWith("blob:")).map((url) => url.split("/").at(-1));
  assert.deepEqual(fetched.map((name) => name.replace(/-[0-9a-f]{16}/, "")).sort(), ["evaluate.js", "evaluate_bg.wasm", "tokenize.js", "tokenize_bg.wasm"]);
  const { evaluation: found, ...rest } = JSON.parse(await saveReport(page));
  const written = join(temporary, "evaluated.json");
  execFileSync(cli, ["eval", eligible, "--documents", documents, "--max-tokens", "24", "--device", "cpu", "--report", written]);
  const { evaluation: expected, ...others } = JSON.parse(readFileSync(written));
  assert.deepEqual(rest, others);
  const same = ({ scored_documents, scored_tokens, max_tokens, cut_tokens, documents_sha256 }) =>
    ({ scored_documents, scored_tokens, max_tokens, cut_tokens, documents_sha256 });
  assert.deepEqual(same(found), same(expected));
  const [nats, others_nats] = [found, expected].map(({ cross_entropy_nats }) => cross_entropy_nats);
  assert.ok(Math.abs(nats - others_nats) <= 1e-5, `${nats} and ${others_nats}`);
  assert.match(found.device, /^in the browser, .*SwiftShader/i);
  const value = found.heldout_ppl.toFixed(4);
  assert.equal(await box(page).locator(".measure__value").textContent(), value);
  assert.match(await page.locator(".subject").textContent(), new RegExp(`held-out perplexity ${value.replace(".", "\\.")}.*measured in the browser, `, "s"));
  assert.match(await page.locator("section[aria-labelledby=estimate]").textContent(), new RegExp(value.replace(".", "\\.")));
  // Other limits judge anew, and the perplexity stays; so it does in a link.
  await page.getByLabel("ternary").check();
  await page.getByText("ternary limits").or(page.locator(".subject", { hasText: value })).first().waitFor();
  assert.equal(JSON.parse(await saveReport(page)).evaluation.heldout_ppl, found.heldout_ppl);
  await page.getByRole("button", { name: "Share as a link" }).click();
  const link = await page.locator("#share").inputValue();
  const shared = await open({ hash: link.slice(link.indexOf("#")) });
  assert.match(await shared.page.locator(".subject").textContent(), new RegExp(value.replace(".", "\\.")));
  await check(shared);
  await check(opened);
});

test("the demo's documents are its own by default; after a Cancel it is measured again", async () => {
  const opened = await open();
  const { page } = opened;
  await page.getByRole("button", { name: /Try the demo/ }).click();
  await finish(page);
  assert.ok(await box(page).getByLabel("The demo’s").isChecked());
  await box(page).getByLabel("Longest document, in tokens").fill("4");
  await begin(page);
  await box(page).getByText("Checking the kernels").waitFor();
  await box(page).getByRole("button", { name: "Cancel" }).click();
  await box(page).getByText("Cancelled.").waitFor();
  await begin(page, "Try again");
  await measured(page);
  const { evaluation } = JSON.parse(await saveReport(page));
  assert.deepEqual([evaluation.scored_documents, evaluation.scored_tokens], [24, 24 * 3]);
  // Another artifact begins anew.
  await pick(page, eligible);
  await finish(page);
  assert.ok(await box(page).getByLabel("Files").isChecked());
  assert.equal(JSON.parse(await saveReport(page)).evaluation, null);
  await check(opened);
});

test("what can't be measured is said, with the command that can", async () => {
  const opened = await open();
  const { page } = opened;
  const wrong = join(temporary, "it's wrong.json");
  writeFileSync(wrong, "[3]");
  await ready(page, wrong, join(artifacts, "eligible.tar.gz"));
  await begin(page);
  const alert = box(page).getByRole("alert");
  await alert.getByText("the documents are not of a known form").waitFor();
  await alert.getByText("it's wrong.json: [0]").waitFor();
  const command = box(page).locator("#measure-command");
  assert.equal(await command.inputValue(), "bitgauge eval eligible.tar.gz --documents 'it'\\''s wrong.json'");
  // A text that is right is measured next, with the tokenizer and the weights of a compressed tar.
  await box(page).getByLabel("Text", { exact: true }).check();
  assert.ok(await box(page).getByRole("button", { name: "Try again" }).isDisabled());
  await box(page).locator("#measure-text").fill("A short text of some words.");
  for (const [tokens, isWrong] of [["1", true], ["", true], ["8", false]]) {
    await box(page).locator("#measure-tokens").fill(tokens);
    assert.equal(await box(page).getByRole("button", { name: "Try again" }).isDisabled(), isWrong, tokens);
  }
  await begin(page, "Try again");
  await measured(page);
  assert.equal(await command.count(), 0);
  const found = JSON.parse(await saveReport(page)).evaluation;
  const expected = commands("A short text of some words.", 8);
  assert.equal(found.scored_tokens, expected.scored_tokens);
  assert.ok(Math.abs(found.cross_entropy_nats - expected.cross_entropy_nats) <= 1e-5);
  await check(opened);
});

test("what is open by its address is measured from there", async () => {
  const host = await serveAway({ "deflated.zip": join(artifacts, "deflated.zip") });
  const opened = await open({ path: "url.html" });
  const { page, record } = opened;
  await page.getByLabel(/^Address of/).fill(`${host.origin}/exposed/deflated.zip`);
  await page.getByRole("button", { name: "Connect to" }).click();
  await box(page).getByLabel("Text", { exact: true }).check();
  await box(page).locator("#measure-text").fill("A short text of some words.");
  await box(page).locator("#measure-tokens").fill("8");
  await begin(page);
  await measured(page);
  const value = Number(await box(page).locator(".measure__value").textContent());
  const expected = commands("A short text of some words.", 8);
  assert.ok(Math.abs(Math.log(value) - expected.cross_entropy_nats) <= 2e-5, `${value} and ${expected.heldout_ppl}`);
  assert.ok(Math.abs(Math.log(value) - commands("A short text of other words.", 8).cross_entropy_nats) > 1e-3);
  record.requests = record.requests.filter((url) => !url.startsWith(`${host.origin}/`));
  await check(opened);
  host.close();
});

test("without WebGPU the command is there to copy", async () => {
  for (const script of [
    () => Object.defineProperty(navigator, "gpu", { value: undefined }),
    () => (GPU.prototype.requestAdapter = async () => null),
  ]) {
    const opened = await open({ script });
    const { context, page, record } = opened;
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await ready(page);
    await begin(page);
    await box(page).getByText(/offers no WebGPU/).waitFor();
    await box(page).getByRole("button", { name: "Copy command" }).click();
    await box(page).getByRole("button", { name: "Copied" }).waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(copied, "bitgauge eval eligible.zip --documents held-out.json");
    assert.ok(!record.requests.some((url) => /(evaluate|tokenize)/.test(url)), "nothing is fetched for it");
    await check(opened);
  }
});

// Each runs the model on a software driver, so that one is enough in each run; the narrow one has the least room.
const looked = process.env.BITGAUGE_LOOKS === "all" ? looks : looks.filter(([look]) => look === "narrow");
for (const [look, options] of looked) {
  test(`the box in each state, ${look}`, async () => {
    const opened = await open(options);
    const { page } = opened;
    await ready(page);
    await drawn(page);
    await examine(page, "measure-idle", look);
    await begin(page);
    await box(page).getByText("Checking the kernels").waitFor();
    await examine(page, "measure-running", look);
    await box(page).getByRole("button", { name: "Cancel" }).click();
    await box(page).getByText("Cancelled.").waitFor();
    await drawn(page);
    await examine(page, "measure-cancelled", look);
    await box(page).getByLabel("Text", { exact: true }).check();
    await box(page).locator("#measure-text").fill("[");
    await begin(page, /Go on|Try again/);
    await box(page).getByRole("alert").waitFor();
    await drawn(page);
    await examine(page, "measure-failed", look);
    await box(page).locator("#measure-text").fill("Some words.");
    await begin(page, /Go on|Try again/);
    await measured(page);
    await drawn(page);
    await examine(page, "measure-finished", look);
    await check(opened);
  });
}
