//! Starts the browser inspector.

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    inspector_web::draw();
}

/// Nothing yet: boot.js calls [`start`], in a task of its own.
#[cfg(target_arch = "wasm32")]
fn main() {}

/// Draws the page.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn start() {
    inspector_web::draw();
}
