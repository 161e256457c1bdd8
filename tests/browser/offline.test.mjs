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

test("the footer shows the SHA-256 of the WebAssembly that runs", async () => {
  const opened = await open();
  const name = readdirSync(dist).find((file) => /^inspector.*\.wasm$/.test(file));
  const hash = createHash("sha256").update(readFileSync(join(dist, name))).digest("hex");
  assert.equal(await opened.page.locator("#wasm-hash").textContent(), hash);
  await check(opened);
});
