// Starts the page. A file of its own, because the page's security policy forbids inline scripts;
// index.html names the hashed files in this element's attributes.
const script = document.querySelector("script[data-wasm]");
const status = document.getElementById("boot-status");
const absolute = (path) => new URL(path, document.baseURI).href;

// A worker's own script. It is made here rather than fetched, since only then does the page's policy hold for it, too, on
// a host that sends no headers.
const worker = `
  addEventListener("message", async ({ data }) => {
    try {
      const { default: init, start } = await import(data.js);
      await init({ module_or_path: data.module });
      start();
      postMessage("ready");
    } catch (error) {
      // Out of the promise, so that the page hears of it.
      setTimeout(() => { throw error; });
    }
  }, { once: true });`;

// A task of its own for what follows, so that none is long.
const nextTask = () => new Promise((resolve) => setTimeout(resolve));

async function sha256(bytes) {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function load(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: HTTP status ${response.status}`);
  return response.arrayBuffer();
}

// What workers run, by number: the usual module, that for rarer formats, that which measures, that which
// tokenizes, and that which does so with other tokenizers. Each is fetched when it is first asked for.
const modules = ["worker", "formats", "evaluate", "tokenize", "library"].map((name) => (
  { js: absolute(script.dataset[`${name}Js`]), wasm: script.dataset[`${name}Wasm`] }
));

// The module and its hash. The latter in secure contexts only: https, or this very machine.
async function prepared(path) {
  const bytes = await load(path);
  return [await WebAssembly.compile(bytes), crypto.subtle && (await sha256(bytes))];
}

async function compiled(module) {
  module.compiled ??= prepared(module.wasm);
  try {
    return await module.compiled;
  } catch (error) {
    // To be tried again with the next file.
    module.compiled = undefined;
    throw error;
  }
}

try {
  const js = absolute(script.dataset.js);
  const [{ default: init, start }, [module, hash]] = await Promise.all([import(js), prepared(script.dataset.wasm)]);
  const source = URL.createObjectURL(new Blob([worker], { type: "text/javascript" }));
  // Each inspection has workers of its own, so that Cancel is to end them.
  globalThis.startInspectorWorker = (number) => {
    const started = new Worker(source, { type: "module" });
    const wanted = modules[Number(number)];
    compiled(wanted).then(
      ([module, hash]) => {
        // The footer shows what judges.
        const shown = document.getElementById("worker-hash");
        if (shown && hash && number < 2) shown.textContent = hash;
        started.postMessage({ js: wanted.js, module });
      },
      (error) => started.dispatchEvent(new ErrorEvent("error", { message: String(error) })),
    );
    return started;
  };
  await init({ module_or_path: module });
  // The footer shows it.
  if (hash) script.dataset.sha256 = hash;
  await nextTask();
  status.remove();
  start();
  if (script.dataset.offline) await navigator.serviceWorker?.register(script.dataset.offline);
} catch (error) {
  status.textContent = `The inspector could not start: ${error}`;
}
