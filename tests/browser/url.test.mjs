// Files on another host: few and small requests, errors that name what the host lacks, and a policy that
// lets only this page connect.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { artifacts, check, cli, examine, finish, idle, large, looks, open, saveReport, temporary } from "./harness.mjs";
import { serveAway } from "./host.mjs";

const eligible = join(artifacts, "eligible.zip");
const files = { "eligible.zip": eligible };
let host, origin, seen;

before(async () => {
  host = await serveAway(files);
  ({ origin, seen } = host);
});

after(() => host.close());

async function connect(page, address) {
  await page.getByLabel(/^Address of/).fill(address);
  await page.getByRole("button", { name: `Connect to ${new URL(address).host}` }).click();
}

// Ends a test of a page that connected to the host: to it alone.
async function checkRemote(opened) {
  opened.record.requests = opened.record.requests.filter((url) => !url.startsWith(`${origin}/`));
  await check(opened);
}

test("by address: nothing is sent before the click, then the headers' verdict, then all of it", async () => {
  const opened = await open({ path: "url.html" });
  const { page } = opened;
  seen.length = 0;
  await page.getByLabel(/^Address of/).fill(`${origin}/exposed/eligible.zip`);
  await idle(page);
  // As the browser saw them, which is before the host does.
  assert.deepEqual(opened.record.requests.filter((url) => url.startsWith(origin)), []);
  await connect(page, `${origin}/exposed/eligible.zip`);
  await page.getByText("Inconclusive").waitFor();
  await page.getByText(/The headers took \d requests/).waitFor();
  const headers = join(temporary, "headers.json");
  assert.throws(() => execFileSync(cli, ["inspect", eligible, "--headers-only", "--format", "quiet", "--report", headers]));
  const saved = page.waitForEvent("download");
  await page.getByText("Save report so far (JSON)").click();
  assert.ok(readFileSync(await (await saved).path()).equals(readFileSync(headers)), "the headers' reports differ");
  await page.getByRole("button", { name: /^Fetch and check all/ }).click();
  await (await finish(page)).and(page.locator(".verdict--good")).waitFor();
  const whole = join(temporary, "whole.json");
  execFileSync(cli, ["inspect", eligible, "--format", "quiet", "--report", whole]);
  assert.ok((await saveReport(page)).equals(readFileSync(whole)), "the reports differ");
  assert.ok(seen.every(({ headers }) => !headers?.referer && !headers?.cookie), "no referrer, no cookie");
  await checkRemote(opened);
});

test("4.4 GB behind 50 ms: a structural verdict in at most 3 requests and 512 KB, without a preflight", async () => {
  files["large.zip"] = large();
  const opened = await open({ path: "url.html" });
  seen.length = 0;
  await connect(opened.page, `${origin}/exposed/large.zip`);
  await opened.page.locator("#gate-loadable").waitFor();
  await opened.page.getByText(/The headers took/).waitFor();
  const bytes = seen.reduce((sum, request) => sum + request.bytes, 0);
  console.log(`# by address: ${seen.length} requests, ${bytes} bytes`);
  assert.ok(seen.length <= 3 && bytes <= 512_000, `${seen.length} requests, ${bytes} bytes`);
  assert.deepEqual(seen.map(({ method }) => method), seen.map(() => "GET"));
  await checkRemote(opened);
});

test("a host that hides Content-Range is asked once more, and what another lacks is named", async () => {
  const opened = await open({ path: "url.html" });
  const { page } = opened;
  await connect(page, `${origin}/silent/eligible.zip`);
  await page.getByText("Inconclusive").waitFor();
  await connect(page, `${origin}/mute/eligible.zip`);
  await page.getByText("Access-Control-Expose-Headers: Content-Range").waitFor();
  await connect(page, `${origin}/whole/eligible.zip`);
  await page.getByText("the host sends whole files only").waitFor();
  await connect(page, `${origin}/closed/eligible.zip`);
  await page.getByText("Access-Control-Allow-Origin").waitFor();
  await connect(page, `${origin}/exposed/none.zip`);
  await page.getByText("404").waitFor();
  await checkRemote(opened);
});

test("a file that is replaced between requests, and a connection that breaks off, are told from a bad artifact", async () => {
  files["large.zip"] = large();
  const opened = await open({ path: "url.html" });
  const { page } = opened;
  await connect(page, `${origin}/replaced/large.zip`);
  await page.getByText("the file may have been replaced meanwhile").waitFor();
  await page.getByText(`a file of ${statSync(files["large.zip"]).size} bytes`).waitFor();
  await connect(page, `${origin}/cut/eligible.zip`);
  await page.getByText("Inconclusive").waitFor();
  await page.getByRole("button", { name: /^Fetch and check all/ }).click();
  await page.getByText("the connection broke off").waitFor();
  assert.equal(await page.locator(".verdict--good").count(), 0);
  // What the browser itself says of the connection.
  opened.record.messages = opened.record.messages.filter((message) => !/ERR_/.test(message));
  await checkRemote(opened);
});

test("a page about a file is corrected, and what is no address is refused before anything is sent", async () => {
  const opened = await open({ path: "url.html", hash: "#u=https%3A%2F%2Fhuggingface.co%2Fo%2Fm%2Fblob%2Fmain%2Fm.zip" });
  const { page } = opened;
  await page.getByText("https://huggingface.co/o/m/resolve/main/m.zip").waitFor();
  await page.getByRole("button", { name: "Connect to huggingface.co" }).waitFor();
  const field = page.getByLabel(/^Address of/);
  for (const [address, words] of [
    ["example.org/m.zip", /not a complete address/],
    ["http://example.org/m.zip", /Only https/],
    ["javascript:alert(1)", /Only https/],
    ["https://user:secret@example.org/m.zip", /password/],
  ]) {
    await field.fill(address);
    await page.getByText(words).waitFor();
    assert.ok(await page.getByRole("button", { name: "Connect" }).isDisabled());
  }
  await check(opened);
});

test("only this page may connect: the other's policy holds for its worker, too", async () => {
  const fetches = (address) => fetch(address).then(() => "answered", () => "refused");
  for (const [path, outcome] of [["", "refused"], ["compare.html", "refused"], ["url.html", "answered"]]) {
    const opened = await open({ path });
    const { page } = opened;
    const worker = page.waitForEvent("worker");
    await page.evaluate(() => void startInspectorWorker());
    const address = `${origin}/exposed/eligible.zip`;
    assert.equal(await page.evaluate(fetches, address), outcome, `${path}: the page`);
    assert.equal(await (await worker).evaluate(fetches, address), outcome, `${path}: its worker`);
    const refusals = opened.record.messages.filter((message) => /Content Security Policy|violates/.test(message));
    assert.equal(refusals.length, opened.record.messages.length, opened.record.messages.join("\n"));
    opened.record.messages = [];
    await checkRemote(opened);
  }
});

for (const [look, options] of looks) {
  test(`${look}: the page for addresses looks right`, async () => {
    const opened = await open({ ...options, path: "url.html" });
    await examine(opened.page, "url", look);
    await connect(opened.page, `${origin}/exposed/eligible.zip`);
    await opened.page.getByText(/The headers took/).waitFor();
    await examine(opened.page, "url-headers", look);
    await checkRemote(opened);
  });
}
