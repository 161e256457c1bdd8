// Starts the page. A file of its own, because the page's security policy forbids inline scripts;
// index.html names the hashed files in this element's attributes.
const script = document.querySelector("script[data-wasm]");
const status = document.getElementById("boot-status");
const absolute = (path) => new URL(path, document.baseURI).href;

// The worker is the same WebAssembly module as the page, or that for rarer formats. Its script is made here rather than
// fetched, since only then does the page's policy hold for it, too, on a host that sends no headers.
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

try {
  const js = absolute(script.dataset.js);
  const [{ default: init, start }, response] = await Promise.all([import(js), fetch(script.dataset.wasm)]);
  if (!response.ok) throw new Error(`${script.dataset.wasm}: HTTP status ${response.status}`);
  const bytes = await response.arrayBuffer();
  const module = await WebAssembly.compile(bytes);
  const source = URL.createObjectURL(new Blob([worker], { type: "text/javascript" }));
  // Each inspection has a worker of its own, so that Cancel is to end it.
  const usual = { js, module };
  const formats = { js: absolute(script.dataset.formatsJs), module: absolute(script.dataset.formatsWasm) };
  globalThis.startInspectorWorker = (isRare) => {
    const started = new Worker(source, { type: "module" });
    started.postMessage(isRare ? formats : usual);
    return started;
  };
  await init({ module_or_path: module });
  // In secure contexts only: https, or this very machine. The footer shows it.
  if (crypto.subtle) script.dataset.sha256 = await sha256(bytes);
  await nextTask();
  status.remove();
  start();
  if (script.dataset.offline) await navigator.serviceWorker?.register(script.dataset.offline);
} catch (error) {
  status.textContent = `The inspector could not start: ${error}`;
}
