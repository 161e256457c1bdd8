//! Starts the worker that measures perplexity: a WebAssembly module of its own, fetched when somebody asks for that.
#![forbid(unsafe_code)]

#[cfg(target_arch = "wasm32")]
mod adapter;
#[cfg(target_arch = "wasm32")]
mod events;
#[cfg(target_arch = "wasm32")]
mod load;
#[cfg(target_arch = "wasm32")]
mod measure;
#[cfg(target_arch = "wasm32")]
mod samples;
#[cfg(target_arch = "wasm32")]
mod serve;
#[cfg(target_arch = "wasm32")]
mod source;
#[cfg(target_arch = "wasm32")]
mod stored;
#[cfg(target_arch = "wasm32")]
mod unpack;

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    inspector_web::draw();
}

#[cfg(target_arch = "wasm32")]
fn main() {}

/// Serves the page as its worker.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn start() {
    serve::serve();
}
