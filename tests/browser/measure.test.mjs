// Perplexity in the browser: the worker that measures, driven as the page drives it, on WebGPU's software driver. What it
// gives is compared with the command's CPU backend, which ran on the same token ids (measured.rs).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { artifacts, check, open } from "./harness.mjs";
import { before, measure, of } from "./measuring.mjs";

const cases = JSON.parse(readFileSync(join(artifacts, "measure.json")));
// Nats a token: f32 sums in another order.
const bound = 1e-5;

const caseOf = (name) => cases.find((one) => one.name === name);

// Replaces a piece of each kernel's text that has it.
const patched = (from, to) => before(`{
  const make = GPUDevice.prototype.createShaderModule;
  GPUDevice.prototype.createShaderModule = function (described) {
    return make.call(this, { ...described, code: described.code.replace(${JSON.stringify(from)}, ${JSON.stringify(to)}) });
  };
}\n`);

// Has the device end when the worker has told of its first document, as when its driver dies.
const losing = before(`{
  const request = GPUAdapter.prototype.requestDevice;
  let end;
  GPUAdapter.prototype.requestDevice = async function (described) {
    const device = await request.call(this, described);
    const lost = new Promise((resolve) => (end = () => {
      resolve({ reason: "unknown", message: "the driver died" });
      device.destroy();
    }));
    Object.defineProperty(device, "lost", { value: lost });
    return device;
  };
  const post = globalThis.postMessage;
  globalThis.postMessage = (message, ...rest) => {
    post(message, ...rest);
    if (String(message).startsWith('{"Document"')) end();
  };
}\n`);

const last = (events) => events.at(-1);

// The evaluation of a run that ended well.
function evaluation(events) {
  assert.ok(last(events).Measured, JSON.stringify(last(events)));
  return last(events).Measured.evaluation;
}

// Largest difference of a document's mean loss.
function difference(found, expected) {
  const means = found.documents.map(({ nats, tokens }, i) => Math.abs(nats - expected.nats[i]) / Math.max(tokens, 1));
  return Math.max(...means);
}

test("the demo's perplexity is the command's, from weights that are deflated", async () => {
  const opened = await open();
  const expected = caseOf("eligible.zip");
  const events = await measure(opened.page, join(artifacts, "deflated.zip"), expected.documents);
  const found = evaluation(events);
  assert.ok(difference(found, expected) <= bound, `${difference(found, expected)} nats a token`);
  // The same comparison sees a byte of signs that was inverted.
  assert.ok(difference(found, caseOf("flipped-signs.zip")) > 10 * bound);
  assert.deepEqual(found.documents.map(({ tokens }) => tokens), expected.documents.map((ids) => ids.length - 1));
  const { max_tokens, cut_tokens, documents_sha256, device, precision, scored_documents } = found;
  assert.deepEqual([max_tokens, cut_tokens, documents_sha256, precision, scored_documents], [512, 3, "ab", "f32", 2]);
  const [adapter] = of(events, "Adapter");
  assert.equal(device, `in the browser, ${adapter.name}`);
  assert.match(adapter.name, /swiftshader/i);
  const unpacked = of(events, "Unpacking");
  assert.deepEqual([unpacked[0].done, unpacked.at(-1).done], [0, unpacked[0].total]);
  const loading = of(events, "Loading");
  assert.deepEqual([loading[0].done, loading.at(-1).done], [0, adapter.model_bytes]);
  assert.deepEqual(of(events, "Document").map(({ document }) => document), [0, 2]);
  const running = of(events, "Running").at(-1);
  assert.equal(running.done, running.total);
  await check(opened);
});

// The embedding of the last but one goes to the device in two blocks of rows.
for (const name of ["qwen3_5_full", "llama_rope3_tied", "llama.gguf", "large-table", "differing-heads"]) {
  test(`${name} has the command's losses`, async () => {
    const opened = await open();
    const expected = caseOf(name);
    const events = await measure(opened.page, join(artifacts, name), expected.documents);
    const found = evaluation(events);
    assert.ok(difference(found, expected) <= bound, `${difference(found, expected)} nats a token`);
    const moved = { ...expected, nats: expected.nats.map((nats, i) => nats * (1 + 2 * bound * (i === 0))) };
    assert.ok(difference(found, moved) > bound);
    const total = of(events, "Loading").at(-1).total;
    assert.deepEqual(of(events, "Loading").at(-1), { done: total, total });
    await check(opened);
  });
}

test("every kernel that the model runs is compared, and one that is compiled wrongly is named", async () => {
  const expected = caseOf("eligible.zip");
  // Dawn does not zero a variable again that is declared in a loop without an initializer.
  const opened = await open({ script: patched("= array<vec4<f32>, 4>();", ";") });
  const events = await measure(opened.page, join(artifacts, "eligible.zip"), expected.documents);
  assert.ok(last(events).Failed, JSON.stringify(last(events)));
  const { what, place } = last(events).Failed;
  assert.match(what, /^the kernel "attention" computes wrongly on this GPU$/);
  assert.match(JSON.stringify(place), /swiftshader/i);
  const kernels = new Set(of(events, "Checking").map(({ kernel }) => kernel.split(",")[0]));
  for (const kernel of ["embed", "matmul", "head_loss", "attention"]) assert.ok(kernels.has(kernel), kernel);
  assert.deepEqual(of(events, "Document"), [], "no document before all is compared");
  await check(opened);
});

test("documents that are finished outlive a lost device, and another worker goes on behind them", async () => {
  const { documents } = caseOf("llama_rope3_tied");
  // The first one fills a batch.
  const both = [Array.from({ length: 2_100 }, (_, i) => documents[0][i % documents[0].length]), documents[1]];
  const opened = await open({ script: losing });
  const events = await measure(opened.page, join(artifacts, "llama_rope3_tied"), both);
  const [finished] = of(events, "Document");
  assert.equal(finished.document, 0);
  assert.match(JSON.stringify(last(events).Failed), /the device was lost: the driver died/);
  await check(opened);

  const again = await open();
  const rest = await measure(again.page, join(artifacts, "llama_rope3_tied"), both, { finished: [finished] });
  const found = evaluation(rest);
  assert.deepEqual(of(rest, "Document").map(({ document }) => document), [1]);
  assert.equal(found.documents[0].nats, finished.nats);
  assert.deepEqual(found.documents.map(({ tokens }) => tokens), both.map((ids) => ids.length - 1));
  await check(again);
});

test("what can't be measured here is said before anything is loaded", async () => {
  const opened = await open();
  const [event] = await measure(opened.page, join(artifacts, "missing-weight.zip"), [[1, 2]]);
  assert.match(event.Failed.what, /a weight is missing/);
  await check(opened);
});

test("ids that the model does not have are an error before anything is loaded", async () => {
  const opened = await open();
  const events = await measure(opened.page, join(artifacts, "llama_rope3_tied"), [[1, 2, 1_000_000]]);
  assert.match(last(events).Failed.what, /document 1 has the token id 1000000/);
  assert.equal(events.length, 1);
  await check(opened);
});
