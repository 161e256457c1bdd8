// Every composed kernel through Dawn, the WebGPU of Chromium, without a GPU and without a browser: naga, which the GPU
// suite uses, takes much that the specification does not allow.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { create, globals } from "webgpu";
import { artifacts } from "./driver.mjs";

Object.assign(globalThis, globals);
const shaders = JSON.parse(readFileSync(join(artifacts, "shaders.json")));
// Kept to the end: Dawn ends the process where this is collected before its device is.
const gpu = create(["backend=null"]);
let device;

before(async () => {
  const adapter = await gpu.requestAdapter();
  device = await adapter.requestDevice({ requiredFeatures: ["shader-f16"] });
});
after(() => device.destroy());

// The errors of a module, each with its line.
async function errors(code) {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  const { messages } = await module.getCompilationInfo();
  await device.popErrorScope();
  const found = messages.filter(({ type }) => type === "error");
  return { module, errors: found.map(({ lineNum, message }) => `line ${lineNum}: ${message}`) };
}

// What the pipeline of a module says: nothing if it is built.
async function refusal(module) {
  device.pushErrorScope("validation");
  const compute = { module, entryPoint: "main" };
  const reason = await device.createComputePipelineAsync({ layout: "auto", compute }).then(() => "", String);
  await device.popErrorScope();
  return reason;
}

// The first line of `main` with an expression that the grammar has no rule for; naga takes it.
function withoutParentheses(code) {
  const body = code.indexOf("{", code.indexOf("fn main("));
  return `${code.slice(0, body + 1)} let mixed = 1u << 2u | 1u; ${code.slice(body + 1)}`;
}

test("Dawn builds every kernel that a browser can run", async () => {
  const most = device.limits.maxComputeWorkgroupStorageSize;
  const plain = shaders.filter(({ cooperative }) => !cooperative);
  const wide = plain.filter(({ workgroupBytes }) => workgroupBytes > most);
  assert.ok(plain.length >= 32 && wide.length >= 4 && wide.length < plain.length / 2);
  for (const { name, text } of plain) {
    const { module, errors: found } = await errors(text);
    assert.deepEqual(found, [], name);
    const reason = await refusal(module);
    // The device without a GPU has the least memory that any device may have.
    if (wide.some((shader) => shader.name === name)) assert.match(reason, /workgroup/, name);
    else assert.equal(reason, "", name);
    assert.notDeepEqual((await errors(withoutParentheses(text))).errors, [], `${name}, changed`);
  }
});

test("cooperative matrices are all that Dawn does not know of the others", async () => {
  const cooperative = shaders.filter((shader) => shader.cooperative);
  assert.ok(cooperative.length >= 12);
  for (const { name, text } of cooperative) {
    const line = 1 + text.split("\n").indexOf("enable wgpu_cooperative_matrix;");
    const unknown = (error) => error.startsWith(`line ${line}: expected extension`);
    const { errors: found } = await errors(text);
    assert.ok(found.length > 0 && found.every(unknown), `${name}: ${found.join("\n")}`);
    const { errors: changed } = await errors(withoutParentheses(text));
    assert.ok(!changed.every(unknown), `${name}, changed`);
  }
});
