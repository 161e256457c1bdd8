// Starts the page. A file of its own, because the page's security policy forbids inline scripts;
// Trunk.toml names the two hashed files in this element's attributes.
const { js, wasm } = document.querySelector("script[data-wasm]").dataset;
const status = document.getElementById("boot-status");

try {
  const { default: init } = await import(js);
  await init({ module_or_path: new URL(wasm, import.meta.url) });
  status.remove();
} catch (error) {
  status.textContent = `The inspector could not start: ${error}`;
}
