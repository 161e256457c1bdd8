// Starts the worker that reads files: the same WebAssembly module as the page, compiled once there.
self.addEventListener("message", async ({ data }) => {
  if (!data.module) return;
  const { default: init } = await import(data.js);
  await init({ module_or_path: data.module });
  self.postMessage("ready");
});
