// Starts the page. A file of its own, because the page's security policy forbids inline scripts;
// index.html names the two hashed files in this element's attributes.
const script = document.querySelector("script[data-wasm]");
const status = document.getElementById("boot-status");

// The hash that the footer shows is of the bytes that run, so it is taken before they are compiled.
async function sha256(bytes) {
  if (!crypto.subtle) return "";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

try {
  const js = new URL(script.dataset.js, document.baseURI).href;
  const [{ default: init }, response] = await Promise.all([import(js), fetch(script.dataset.wasm)]);
  if (!response.ok) throw new Error(`${script.dataset.wasm}: HTTP status ${response.status}`);
  const bytes = await response.arrayBuffer();
  const [module, hash] = await Promise.all([WebAssembly.compile(bytes), sha256(bytes)]);
  script.dataset.wasmSha256 = hash;
  // Each inspection has a worker of its own, so that Cancel is to end it.
  globalThis.startInspectorWorker = () => {
    const worker = new Worker(new URL("worker.js", document.baseURI), { type: "module" });
    worker.postMessage({ js, module });
    return worker;
  };
  await init({ module_or_path: module });
  status.remove();
} catch (error) {
  status.textContent = `The inspector could not start: ${error}`;
}
