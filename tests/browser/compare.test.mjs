// Two reports side by side: files, report files and links, and which ranks first.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { artifacts, check, cli, drawn, examine, looks, open, settled, temporary } from "./harness.mjs";

const [eligible, over] = ["eligible.zip", "over-budget.zip"].map((name) => join(artifacts, name));

function linkOf(path) {
  const out = spawnSync(cli, ["inspect", path, "--share", "https://example.org/"], { encoding: "utf8" }).stdout;
  return out.trimEnd().split("\n").at(-1).replace("share  ", "");
}

// The report of `path` as if it had been evaluated, with another size where one is given.
function evaluated(path, name, heldout_ppl, size) {
  const file = join(temporary, `${name}.json`);
  spawnSync(cli, ["inspect", path, "--format", "quiet", "--report", file]);
  const report = JSON.parse(readFileSync(file));
  report.artifact.name = name;
  report.artifact.size_bytes = size ?? report.artifact.size_bytes;
  report.evaluation = {
    heldout_ppl, cross_entropy_nats: Math.log(heldout_ppl), scored_documents: 1, scored_tokens: 9, max_tokens: 512,
    documents_sha256: "ab".repeat(32), device: "CPU", precision: "f32", seconds: 1, tokens_per_second: 10, documents: [],
  };
  writeFileSync(file, JSON.stringify(report));
  return file;
}

const word = (page) => page.locator("section[aria-labelledby=ranking] .verdict__word");

test("a file and a link: the eligible one ranks first, and what differs is listed", async () => {
  const opened = await open({ path: "compare.html" });
  const { page } = opened;
  await page.locator("#pick-first").setInputFiles(eligible);
  await page.locator("#link-second").fill(linkOf(over));
  await page.getByText("eligible.zip ranks first").waitFor();
  await page.getByText("Claimed: not eligible").waitFor();
  assert.match(await page.locator("section[aria-labelledby=ranking]").textContent(), /The other is not eligible/);
  const differ = await page.locator(".line--bad th").allTextContents();
  assert.ok(differ.includes("SHA-256") && differ.includes("Size") && differ.includes("Verdict"), differ.join());
  assert.match(await page.locator("section[aria-labelledby=weights-differ]").textContent(), /links do not carry/);
  await check(opened);
});

test("two files: their weights are compared", async () => {
  const opened = await open({ path: "compare.html" });
  const { page } = opened;
  await page.locator("#pick-first").setInputFiles(eligible);
  await page.locator("#pick-second").setInputFiles(join(artifacts, "missing-weight.zip"));
  const rows = page.locator("section[aria-labelledby=weights-differ] tbody th");
  // The rows are drawn anew when the weights' hashes are there: between the two drawings there are none.
  await settled(async () => assert.deepEqual(await rows.allTextContents(), ["model.norm.weight", "model.gone.weight"]));
  await page.locator("#pick-second").setInputFiles(eligible);
  await page.locator("section[aria-labelledby=weights-differ]").getByText("None.").waitFor();
  await check(opened);
});

test("two evaluated reports: 0.02 nats decide, then bytes", async () => {
  const opened = await open({ path: "compare.html" });
  const { page } = opened;
  const base = evaluated(eligible, "base", 20);
  const cases = [
    [evaluated(eligible, "better", 20 * Math.exp(-0.021)), "better ranks first", /lower by 0.02 nats/],
    [evaluated(eligible, "smaller", 20 * Math.exp(0.019), 1_000_000), "smaller ranks first", /it is smaller/],
    [evaluated(eligible, "same", 20 * Math.exp(0.019)), "Undecided", /the sizes are the same/],
    [evaluated(eligible, "worse", 20 * Math.exp(0.021), 1_000_000), "base ranks first", /lower by 0.02 nats/],
  ];
  await page.locator("#pick-first").setInputFiles(base);
  for (const [file, first, reason] of cases) {
    await page.locator("#pick-second").setInputFiles(file);
    await word(page).getByText(first).waitFor();
    assert.match(await page.locator("section[aria-labelledby=ranking]").textContent(), reason);
  }
  await check(opened);
});

// To a reader that is one step off now and then, two ways of writing a number are two numbers.
test("figures of a report are read to the bit, however they are written", async () => {
  const [short, long] = ["22.954477492535318", "22.954477492535318106092745"];
  const other = (written) => {
    const file = evaluated(eligible, `written-${written}`, 22.954477492535318);
    const text = readFileSync(file, "utf8");
    assert.equal(text.split(`"heldout_ppl":${short}`).length, 2);
    writeFileSync(file, text.replace(`"heldout_ppl":${short}`, `"heldout_ppl":${written}`));
    return file;
  };
  const opened = await open({ path: "compare.html" });
  const { page } = opened;
  const differ = page.locator(".line--bad th");
  await page.locator("#pick-first").setInputFiles(other(short));
  await page.locator("#pick-second").setInputFiles(other("22.954477492535322"));
  await word(page).getByText("Undecided").waitFor();
  await settled(async () => assert.deepEqual(await differ.allTextContents(), ["Held-out perplexity"]));
  await page.locator("#pick-second").setInputFiles(other(long));
  await page.getByText(`written-${long}`).first().waitFor();
  await word(page).getByText("Undecided").waitFor();
  assert.deepEqual(await differ.allTextContents(), []);
  await check(opened);
});

test("what is no link and no report is refused with a message", async () => {
  const opened = await open({ path: "compare.html" });
  const { page } = opened;
  await page.locator("#link-first").fill("https://example.org/nothing");
  await page.getByText("this is not a link to a report").waitFor();
  await page.locator("#link-first").fill("https://example.org/#r=AAAA");
  await page.getByText("Can’t be read").waitFor();
  const file = join(temporary, "odd.json");
  writeFileSync(file, '{"schema_version": 1, "gates": 7}');
  await page.locator("#pick-second").setInputFiles(file);
  await page.getByText(/the text is not an artifact's report/).waitFor();
  await check(opened);
});

test("a saved report opens as a claim, and a link to the comparison brings its first side", async () => {
  const file = evaluated(eligible, "saved", 20);
  const opened = await open();
  await opened.page.locator("#pick-files").setInputFiles(file);
  await opened.page.getByText("Claimed: eligible").waitFor();
  await check(opened);
  const hash = new URL(linkOf(eligible)).hash;
  const second = await open({ path: "compare.html", hash });
  await second.page.getByText("Claimed: eligible").waitFor();
  await check(second);
});

for (const [look, options] of looks) {
  test(`${look}: the comparison looks right`, async () => {
    const opened = await open({ ...options, path: "compare.html" });
    await examine(opened.page, "compare-start", look);
    await opened.page.locator("#pick-first").setInputFiles(eligible);
    await opened.page.locator("#pick-second").setInputFiles(evaluated(over, "other.zip", 20));
    await word(opened.page).waitFor();
    await opened.page.locator("section[aria-labelledby=weights-differ]").waitFor();
    await opened.page.locator("progress").waitFor({ state: "detached" });
    await drawn(opened.page);
    await examine(opened.page, "compare", look);
    await check(opened);
  });
}
