// Reports in links: the page and the command make the same link, and a link is shown as a claim.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { artifacts, check, cli, examine, finish, looks, open, pick, temporary } from "./harness.mjs";

const base = "https://example.org/inspector/";
const eligible = join(artifacts, "eligible.zip");

// What the command prints with --share.
function fragmentOf(path, ...options) {
  const out = spawnSync(cli, ["inspect", path, "--share", base, ...options], { encoding: "utf8" }).stdout;
  return out.trimEnd().split("\n").at(-1).replace(`share  ${base}`, "");
}

test("the page's link is the command's, and opens to the same gates without reading a file", async () => {
  const opened = await open();
  const { page } = opened;
  await pick(page, eligible);
  await finish(page);
  const gates = await page.locator(".gate__what h3, .gate__figures dd").allTextContents();
  await page.getByRole("button", { name: "Share as a link" }).click();
  const link = await page.locator("#share").inputValue();
  const [address, fragment] = link.split("#");
  assert.equal(address, page.url());
  assert.equal(`#${fragment}`, fragmentOf(eligible));
  await page.getByLabel("short").check();
  const short = await page.locator("#share").inputValue();
  assert.ok(short.length < link.length);
  await check(opened);

  const claimed = await open({ hash: `#${fragment}` });
  assert.match(await claimed.page.locator(".verdict__word").textContent(), /^Claimed: eligible$/);
  assert.match(await claimed.page.locator(".claim").textContent(), /A claim, not a check/);
  assert.deepEqual(await claimed.page.locator(".gate__what h3, .gate__figures dd").allTextContents(), gates);
  const workers = claimed.record.requests.filter((url) => url.endsWith("worker.js"));
  assert.deepEqual(workers, [], "a shared link needs no worker and no file");
  await check(claimed);
});

// The answers about a claim: how each is coloured, and what it says.
async function answers(page) {
  const boxes = await page.locator("section[aria-labelledby=agreement] .answers .verdict").all();
  return Promise.all(boxes.map(async (box) => {
    const tone = /verdict--(\w+)/.exec(await box.getAttribute("class"))[1];
    return [tone, await box.locator(".verdict__word").textContent(), await box.locator(".verdict__sentence").textContent()];
  }));
}

test("a copy bears the claim out, another file does not", async () => {
  const opened = await open({ hash: fragmentOf(eligible) });
  const { page } = opened;
  await pick(page, eligible);
  await page.getByText("Same bytes").waitFor();
  const [bytes, figures, ...others] = await answers(page);
  assert.deepEqual([bytes[0], figures[0], others], ["good", "good", []]);
  assert.match(figures[1], /^\d\d figures agree$/);
  assert.equal(await page.locator(".line--bad").count(), 0);
  await pick(page, join(artifacts, "over-budget.zip"));
  await page.getByText("Other bytes").waitFor();
  assert.ok((await page.locator(".line--bad").count()) > 2);
  assert.deepEqual((await answers(page)).map(([tone]) => tone), ["bad", "bad"]);
  await check(opened);
});

test("a false claim about the same file is caught", async () => {
  // The same bytes under the other pack's limits: the claim says binary, the copy is judged as ternary.
  const opened = await open({ hash: fragmentOf(eligible) });
  const { page } = opened;
  await page.locator(".claim").waitFor();
  await pick(page, eligible);
  await page.getByText("Same bytes").waitFor();
  await page.getByLabel("ternary").check();
  await page.getByText(/ figures differ$/).waitFor();
  const [bytes, figures] = await answers(page);
  assert.deepEqual([bytes[0], figures[0]], ["good", "bad"]);
  assert.match(figures[2], /^Limits, /);
  await check(opened);
});

test("a perplexity that was edited is not confirmed with the file that it is claimed of", async () => {
  const file = join(temporary, "edited.json");
  spawnSync(cli, ["inspect", eligible, "--format", "quiet", "--report", file]);
  const report = JSON.parse(readFileSync(file));
  report.evaluation = {
    heldout_ppl: 5, cross_entropy_nats: 6.9066, scored_documents: 3, scored_tokens: 86, max_tokens: 512,
    documents_sha256: "ab".repeat(32), device: "CPU", precision: "f32", seconds: 1, tokens_per_second: 10, documents: [],
  };
  writeFileSync(file, JSON.stringify(report));
  const opened = await open();
  const { page } = opened;
  await pick(page, file);
  await page.getByText("Claimed: eligible").waitFor();
  // Those by which an artifact is known stand first.
  const known = await page.locator(".subject__facts").allTextContents();
  assert.deepEqual(known.slice(0, 2), [`SHA-256 ${report.artifact.sha256}`, `${report.artifact.size_bytes.toLocaleString("en")} bytes · held-out perplexity 5.0000`]);
  await pick(page, eligible);
  await page.getByText("Claimed, not measured here").waitFor();
  const [bytes, figures, unmeasured, ...others] = await answers(page);
  assert.deepEqual([bytes[0], figures[0], unmeasured[0], others], ["good", "good", "unsure", []]);
  assert.match(unmeasured[2], /^Held-out perplexity 5\.0000, /);
  const first = await page.locator("section[aria-labelledby=agreement] tbody tr").allTextContents();
  assert.match(first[0], /^SHA-256.*same.*/);
  assert.match(first[2], /^Held-out perplexity–.*not measured here5\.0000$/);
  // Nothing says more than that.
  assert.ok(!/claim holds|every figure/i.test(await page.locator("main").textContent()));
  await check(opened);
  const both = await open({ path: "compare.html" });
  await both.page.locator("#pick-first").setInputFiles(eligible);
  await both.page.locator("#pick-second").setInputFiles(file);
  await both.page.getByText("Claimed, not measured here").waitFor();
  assert.deepEqual((await answers(both.page)).map(([tone]) => tone), ["good", "good", "unsure"]);
  await check(both);
});

test("damaged and hostile links are refused with a message, and bring no markup", async () => {
  const sound = fragmentOf(eligible);
  const damaged = [
    [`${sound.slice(0, -1)}${sound.endsWith("A") ? "B" : "A"}`, /damaged/],
    [sound.slice(0, 100), /damaged/],
    ["#r=<img src=x onerror=alert(1)>", /damaged/],
    [`#r=${"A".repeat(20_000)}`, /too long/],
    ["#r=", /too early/],
  ];
  for (const [hash, words] of damaged) {
    const opened = await open({ hash });
    assert.match(await opened.page.locator(".verdict__word").textContent(), /can’t be read/);
    assert.match(await opened.page.locator(".verdict__sentence").textContent(), words);
    assert.equal(await opened.page.locator("main img, main script").count(), 0);
    await check(opened);
  }
});

test("names in a link are text, and a new fragment replaces the old claim", async () => {
  const path = join(temporary, "<img src=x onerror=alert(1)>.zip");
  writeFileSync(path, readFileSync(eligible));
  const opened = await open({ hash: fragmentOf(path) });
  const { page } = opened;
  assert.equal(await page.locator(".subject__name").textContent(), "<img src=x onerror=alert(1)>.zip");
  assert.equal(await page.locator("main img").count(), 0);
  await page.evaluate((hash) => (location.hash = hash), fragmentOf(join(artifacts, "over-budget.zip")));
  await page.getByText("Claimed: not eligible").waitFor();
  await check(opened);
});

test("a link that names its source leads to it, and opens nothing by itself", async () => {
  const source = "https://huggingface.co/o/m/resolve/main/a%20b.zip?download=true";
  const opened = await open({ hash: fragmentOf(eligible, "--source", source) });
  const { page } = opened;
  await page.getByRole("link", { name: "look at the source on huggingface.co" }).click();
  await page.getByRole("button", { name: "Connect to huggingface.co" }).waitFor();
  assert.equal(await page.getByLabel(/^Address of/).inputValue(), source);
  await check(opened);
});

for (const [look, options] of looks) {
  test(`${look}: a claim and its comparison look right`, async () => {
    const opened = await open({ ...options, hash: fragmentOf(eligible) });
    await examine(opened.page, "claim", look);
    await pick(opened.page, join(artifacts, "over-budget.zip"));
    await finish(opened.page);
    await opened.page.getByRole("button", { name: "Share as a link" }).click();
    await examine(opened.page, "agreement", look);
    await check(opened);
  });
}
