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

test("a copy bears the claim out, another file does not", async () => {
  const opened = await open({ hash: fragmentOf(eligible) });
  const { page } = opened;
  const outcome = page.locator("section[aria-labelledby=agreement] .verdict__word");
  await pick(page, eligible);
  await page.getByText("The claim holds").waitFor();
  assert.equal(await page.locator(".line--bad").count(), 0);
  await pick(page, join(artifacts, "over-budget.zip"));
  await page.getByText("Another file").waitFor();
  assert.ok((await page.locator(".line--bad").count()) > 2);
  assert.equal(await outcome.count(), 1);
  await check(opened);
});

test("a false claim about the same file is caught", async () => {
  // The same bytes under the other pack's limits: the claim says binary, the copy is judged as ternary.
  const opened = await open({ hash: fragmentOf(eligible) });
  const { page } = opened;
  await page.locator(".claim").waitFor();
  await pick(page, eligible);
  await page.getByText("The claim holds").waitFor();
  await page.getByLabel("ternary").check();
  await page.getByText("The claim is wrong").waitFor();
  await check(opened);
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
