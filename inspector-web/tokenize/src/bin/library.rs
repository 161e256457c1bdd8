//! Starts the worker that tokenizes with tokenizers of every kind.

fn main() {}

/// Serves the page as its worker.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn start() {
    inspector_tokenize::serve();
}
