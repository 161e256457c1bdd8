// Repositories of a hub: judged as folders through its listing, with few requests; a look that can be shared.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { artifacts, check, cli, drawn, examine, finish, large, looks, open, saveReport, temporary } from "./harness.mjs";
import { serveHub } from "./hub.mjs";

const latencyMs = 50;
const repositories = {};
let hub;
// Its listings have pages of 20 files.
let paged;

before(async () => {
  const root = join(temporary, "hub");
  const add = (name) => (mkdirSync((repositories[`o/${name}`] = join(root, name)), { recursive: true }), join(root, name));
  cpSync(join(artifacts, "shards"), add("shards"), { recursive: true });
  cpSync(join(artifacts, "shards"), join(add("below"), "a b"), { recursive: true });
  const zip = add("zip");
  copyFileSync(join(artifacts, "eligible.zip"), join(zip, "model.zip"));
  writeFileSync(join(zip, "README.md"), "A model.");
  symlinkSync(large(), join(add("large"), "large.zip"));
  // As long as those of a packed model of 27 billion parameters, and longer than what is read ahead.
  manyShards(add("many"), 27, () => 13_000);
  manyShards(add("wordy"), 27, (shard) => (shard % 3 ? 40_000 : 90_000));
  longFile(add("long"));
  mkdirSync(join(add("gone"), "empty"));
  hub = await serveHub(repositories, latencyMs);
  paged = await serveHub(repositories, latencyMs, 20);
});

after(() => (hub.close(), paged.close()));

// Tensors of a layer, so many that the header has about `bytes`.
function header(layer, bytes) {
  const tensors = {};
  for (let i = 0; i < bytes / 80; i++) {
    tensors[`model.layers.${layer}.part.${i}.weight`] = { dtype: "F16", shape: [1], data_offsets: [2 * i, 2 * i + 2] };
  }
  return tensors;
}

function writeWeights(path, tensors, bytes) {
  const text = Buffer.from(JSON.stringify(tensors));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text]));
  truncateSync(path, 8 + text.length + bytes);
}

function config() {
  return readFileSync(join(artifacts, "folder", "config.json"));
}

// A repository of so many shards, with headers of about `bytes(shard)`.
function manyShards(folder, shards, bytes) {
  const weight_map = {};
  for (let i = 1; i <= shards; i++) {
    const name = `model-${String(i).padStart(5, "0")}-of-${String(shards).padStart(5, "0")}.safetensors`;
    const tensors = header(i, bytes(i));
    writeWeights(join(folder, name), tensors, 2 * Object.keys(tensors).length);
    Object.keys(tensors).forEach((tensor) => (weight_map[tensor] = name));
  }
  writeFileSync(join(folder, "config.json"), config());
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map }));
}

// One file of 4.3 GB, nearly all hole.
function longFile(folder) {
  const tensors = header(0, 250_000);
  const bytes = 2 * Object.keys(tensors).length;
  const hole = 4_300_000_000;
  tensors.hole = { dtype: "U8", shape: [hole], data_offsets: [bytes, bytes + hole] };
  writeWeights(join(folder, "model.safetensors"), tensors, bytes + hole);
  writeFileSync(join(folder, "config.json"), config());
}

async function look(page, address) {
  paged.seen.hub.length = paged.seen.store.length = 0;
  hub.seen.hub.length = hub.seen.store.length = 0;
  await page.getByLabel(/^Address of/).fill(address);
  await page.getByRole("button", { name: /^Connect to/ }).click();
  await page.getByText(/The headers took/).waitFor();
  await drawn(page);
}

// Ends a test of a page that connected to the hub: to it and its store alone.
async function checkHub(opened) {
  const known = [hub, paged].flatMap(({ origin, storeOrigin }) => [origin, storeOrigin]);
  const ours = (url) => known.some((origin) => url.startsWith(`${origin}/`));
  opened.record.requests = opened.record.requests.filter((url) => !ours(url));
  await check(opened);
}

// Requests that brought something, and their bytes; what only leads on is apart.
function cost(hub) {
  const brought = [...hub.seen.hub, ...hub.seen.store].filter(({ bytes }) => bytes > 0);
  const led = hub.seen.hub.filter(({ bytes }) => bytes === 0).length;
  return { requests: brought.length, led, bytes: brought.reduce((sum, { bytes }) => sum + bytes, 0) };
}

// The report of the headers alone, as the command writes it of a folder.
function headersReport(folder) {
  const path = join(temporary, "hub-headers.json");
  spawnSync(cli, ["inspect", folder, "--headers-only", "--format", "quiet", "--report", path]);
  return readFileSync(path);
}

test("a repository, a tree, one shard, config.json: the same folder as on disk, to the byte of its report", async () => {
  const opened = await open({ path: "url.html" });
  const { page } = opened;
  const expected = headersReport(repositories["o/shards"]);
  const shard = "model-00002-of-00002.safetensors";
  for (const path of ["tree/main", `blob/main/${shard}`, `resolve/main/${shard}?download=true`, "blob/main/config.json"]) {
    await look(page, `${hub.origin}/o/shards/${path}`);
    const saved = page.waitForEvent("download");
    await page.getByText("Save report so far (JSON)").click();
    assert.ok(readFileSync(await (await saved).path()).equals(expected), path);
    assert.equal(await page.title(), "shards · By address · bitgauge");
  }
  await page.getByRole("button", { name: /^Fetch and check all/ }).click();
  // Unpacked it is over its own budget.
  await (await finish(page)).and(page.locator(".verdict--bad")).waitFor();
  const whole = join(temporary, "hub-whole.json");
  spawnSync(cli, ["inspect", repositories["o/shards"], "--format", "quiet", "--report", whole]);
  assert.ok((await saveReport(page)).equals(readFileSync(whole)), "the reports differ");
  const asked = [...hub.seen.hub, ...hub.seen.store];
  assert.ok(asked.every(({ headers, method }) => method === "GET" && !headers.referer && !headers.cookie), "plain requests");
  await checkHub(opened);
});

test("a folder below, and the only archive of a repository", async () => {
  const opened = await open({ path: "url.html" });
  const { page } = opened;
  await look(page, `${hub.origin}/o/below/tree/main/a%20b`);
  assert.equal(await page.locator(".subject__name").textContent(), "a b");
  assert.equal(await page.locator("#gate-tensors.gate--good").count(), 1);
  await look(page, `${hub.origin}/o/zip/tree/main`);
  assert.equal(await page.locator(".subject__name").textContent(), "model.zip");
  assert.equal(await page.locator("#gate-tensors.gate--good").count(), 1);
  await checkHub(opened);
});

for (const [name, server, files] of [["many", () => hub, 27 + 3], ["wordy", () => paged, 27 + 9 + 4]]) {
  test(`27 shards behind 50 ms (${name}): at most two requests a shard and three for the repository`, async () => {
    const opened = await open({ path: "url.html" });
    await look(opened.page, `${server().origin}/o/${name}/tree/main`);
    const { requests, led, bytes } = cost(server());
    console.log(`# 27 shards by address (${name}): ${requests} requests, ${led} led on, ${bytes} bytes`);
    // The listing (of two pages for the one), config.json, the index; a header that is longer than what is read ahead once more.
    assert.equal(requests, files);
    // What the hub led on to is asked directly the next time.
    assert.equal(led, 27, "led on");
    if (name === "many") assert.ok(requests + led <= 2 * 27 + 3);
    // The page counts the same.
    await opened.page.getByText(`The headers took ${requests} requests`).waitFor();
    await checkHub(opened);
  });
}

for (const [what, path] of [["zip", "large/blob/main/large.zip"], ["shard", "long/blob/main/model.safetensors"]]) {
  test(`4.3 GB in a repository (${what}): at most 3 requests and 512 KB`, async () => {
    const opened = await open({ path: "url.html" });
    await look(opened.page, `${hub.origin}/o/${path}`);
    await opened.page.locator("#gate-loadable").waitFor();
    const { requests, led, bytes } = cost(hub);
    console.log(`# 4.3 GB by address (${what}): ${requests} requests, ${led} led on, ${bytes} bytes`);
    assert.ok(requests <= 3 && led <= 1 && bytes <= 512_000, `${requests} requests, ${bytes} bytes`);
    await checkHub(opened);
  });
}

test("what the hub refuses is said with what to do", async () => {
  const opened = await open({ path: "url.html" });
  const { page } = opened;
  for (const [path, words] of [
    ["o/private/tree/main", "a private or gated repository needs a login"],
    ["o/shards/tree/other", "check the address"],
    ["o/zip/blob/main/none.zip", "check the address"],
    ["o/private/blob/main/model.safetensors", "a private or gated repository needs a login"],
  ]) {
    await page.getByLabel(/^Address of/).fill(`${hub.origin}/${path}`);
    await page.getByRole("button", { name: /^Connect to/ }).click();
    await page.getByRole("alert").getByText(words).waitFor();
    await page.getByLabel(/^Address of/).fill("");
  }
  // The browser's own words about the statuses.
  opened.record.messages = opened.record.messages.filter((message) => !/Failed to load resource/.test(message));
  await checkHub(opened);
});

test("the page's address carries the look: opened anew it looks again, and back leads to the one before", async () => {
  const opened = await open({ path: "url.html" });
  const { page } = opened;
  await look(page, `${hub.origin}/o/shards/tree/main`);
  const shared = new URL(page.url()).hash;
  assert.equal(shared, `#look=${`${hub.origin}/o/shards/tree/main`}`);
  await look(page, `${hub.origin}/o/zip/tree/main`);
  await page.locator(".subject__name", { hasText: "model.zip" }).waitFor();
  await page.goBack();
  await page.locator(".subject__name", { hasText: "shards" }).waitFor();
  await checkHub(opened);
  const again = await open({ path: "url.html", hash: shared });
  await again.page.locator(".subject__name", { hasText: "shards" }).waitFor();
  await again.page.getByText(/The headers took/).waitFor();
  await checkHub(again);
});

test("hf:// and addresses of the hub are understood before anything is sent", async () => {
  const opened = await open({ path: "url.html" });
  const { page } = opened;
  const field = page.getByLabel(/^Address of/);
  for (const [address, words] of [
    ["hf://o/m", "The model in o/m, revision main"],
    ["hf://o/m@refs/pr/1/a/model.safetensors", "The model in o/m, folder a, revision refs/pr/1"],
    ["huggingface.co/o/m", "The model in o/m, revision main"],
    ["https://huggingface.co/o/m/blob/v1/m.zip", "https://huggingface.co/o/m/resolve/v1/m.zip"],
  ]) {
    await field.fill(address);
    await page.getByText(words).waitFor();
    await page.getByRole("button", { name: "Connect to huggingface.co" }).waitFor();
  }
  await field.fill("hf://o");
  await page.getByText("names no repository").waitFor();
  await check(opened);
});

for (const [name, options] of looks) {
  test(`${name}: a repository looks right`, async () => {
    const opened = await open({ ...options, path: "url.html" });
    await look(opened.page, `${hub.origin}/o/shards/tree/main`);
    await examine(opened.page, "repository", name);
    await checkHub(opened);
  });
}
