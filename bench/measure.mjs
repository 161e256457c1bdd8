// What measuring takes of a browser, on a zip of Qwen3.6-27B's shape: the memory of the worker and of the renderer while
// the weights go to the device, and how long that takes beside the pass that hashes, in turns; it judges nothing.
// `./test --only web` first, then:
//
//     node bench/measure.mjs
import { statSync } from "node:fs";
import { finish, large, memory, open, patience, pick, start, stop } from "../tests/browser/driver.mjs";
import { before, measure, of } from "../tests/browser/measuring.mjs";

const rounds = 2;
const list = (values, digits = 1) => values.map((value) => value.toFixed(digits)).join(", ");
const say = (what, figures) => console.log(`${what.padEnd(64)} ${figures}`);

// Has each worker tell how large its WebAssembly memory is, with every event.
const heaps = before(`{
  const memories = [];
  const note = (made) => (made.instance ?? made).exports?.memory && memories.push((made.instance ?? made).exports.memory);
  for (const way of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[way];
    WebAssembly[way] = async (...given) => {
      const made = await original.apply(WebAssembly, given);
      note(made);
      return made;
    };
  }
  const told = new BroadcastChannel("heap"), post = globalThis.postMessage;
  globalThis.postMessage = (message, ...rest) => {
    told.postMessage([String(message).slice(0, 9), Math.max(0, ...memories.map(({ buffer }) => buffer.byteLength))]);
    post(message, ...rest);
  };
}\n`) + `
  window.heap = 0;
  new BroadcastChannel("heap").onmessage = ({ data: [event, bytes] }) => {
    if (event === '{"Loading') window.heap = Math.max(window.heap, bytes);
  };`;

async function seconds(act) {
  const begin = performance.now();
  await act();
  return (performance.now() - begin) / 1_000;
}

async function pass(path) {
  const { page, context } = await open();
  const took = await seconds(async () => {
    await pick(page, path);
    await finish(page, patience.pass);
  });
  await context.close();
  return took;
}

async function load(path) {
  const { page, context } = await open({ script: heaps });
  // What follows the weights is not waited for.
  const took = await seconds(async () => {
    const events = await measure(page, path, [[1, 2]], { until: "Checking" });
    const failed = of(events, "Failed")[0];
    if (failed) throw new Error(JSON.stringify(failed));
  });
  const figures = { took, heap: await page.evaluate(() => window.heap), renderer: await memory() };
  await context.close();
  return figures;
}

try {
  await start();
  const path = large();
  const [passes, loads] = [[], []];
  for (let round = 0; round < rounds; round++) {
    passes.push(await pass(path));
    loads.push(await load(path));
  }
  say("bytes", statSync(path).size);
  say("the pass that hashes, s", list(passes));
  say("opening and loading to the device, s", list(loads.map(({ took }) => took)));
  say("the same, of the pass", list(loads.map(({ took }, i) => took / passes[i]), 2));
  say("WebAssembly's memory while loading, MB", list(loads.map(({ heap }) => heap / 1e6)));
  say("renderer's peak, MB", list(loads.map(({ renderer }) => renderer / 1e6)));
} finally {
  await stop();
}
