// Starts the page. A file of its own, because the page's security policy forbids inline scripts;
// index.html names the two hashed files in this element's attributes.
const script = document.querySelector("script[data-wasm]");
const status = document.getElementById("boot-status");

try {
  const js = new URL(script.dataset.js, document.baseURI).href;
  const [{ default: init }, response] = await Promise.all([import(js), fetch(script.dataset.wasm)]);
  if (!response.ok) throw new Error(`${script.dataset.wasm}: HTTP status ${response.status}`);
  const module = await WebAssembly.compile(await response.arrayBuffer());
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
