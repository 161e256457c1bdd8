// After the first visit the page needs no network; its WebAssembly says which it is.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { artifacts, check, dist, finish, open, pick } from "./harness.mjs";

test("it works offline after the first load, all three pages", async () => {
  const opened = await open({ serviceWorkers: "allow" });
  const { page, context } = opened;
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => navigator.serviceWorker.controller);
  await context.setOffline(true);
  for (const path of ["url.html", "compare.html", "index.html", "./"]) {
    await page.goto(new URL(path, page.url()).href);
    await page.locator("h1").waitFor();
  }
  await pick(page, join(artifacts, "eligible.zip"));
  await (await finish(page)).and(page.locator(".verdict--good")).waitFor();
  await pick(page, join(artifacts, "eligible.tar.xz"));
  await page.locator(".subject__name", { hasText: "tar.xz" }).waitFor();
  await (await finish(page)).and(page.locator(".verdict--good")).waitFor();
  // The browser says itself that it is offline when it looks for a newer service worker.
  opened.record.messages = opened.record.messages.filter((message) => !/ERR_INTERNET_DISCONNECTED/.test(message));
  await check(opened);
});

test("the footer shows the SHA-256 of the WebAssembly that runs, and of that which judges", async () => {
  const opened = await open();
  const { page } = opened;
  const hash = (module) => {
    const name = readdirSync(dist).find((file) => file.startsWith(`${module}_bg`));
    return createHash("sha256").update(readFileSync(join(dist, name))).digest("hex");
  };
  assert.equal(await page.locator("#wasm-hash").textContent(), hash("inspector"));
  assert.equal(await page.locator("#worker-hash").textContent(), "fetched with the first file");
  for (const [name, module] of [["eligible.zip", "worker"], ["eligible.tar.xz", "formats"], ["deflated.zip", "worker"]]) {
    await pick(page, join(artifacts, name));
    await page.locator(".subject__name", { hasText: name }).waitFor();
    await finish(page);
    assert.equal(await page.locator("#worker-hash").textContent(), hash(module));
  }
  await check(opened);
});
