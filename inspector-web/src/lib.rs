//! The browser inspector: a static page over `bitgauge-core`, compiled to WebAssembly.
//!
//! What the page says is decided in plain modules that build and are tested on any machine; only
//! `page`, which draws it, needs a browser.
#![forbid(unsafe_code)]

pub mod caps;
#[cfg(target_arch = "wasm32")]
mod page;

/// Draws the page into the document's body. Call it once, when the module has started.
#[cfg(target_arch = "wasm32")]
pub fn start() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(page::Page);
}

/// Outside a browser there is nothing to draw on: says how to build the page, and exits with 2.
#[cfg(not(target_arch = "wasm32"))]
pub fn start() {
    eprintln!("inspector-web is a web page, not a program.");
    eprintln!("hint: run `trunk serve` in inspector-web/ (see its README.md)");
    std::process::exit(2);
}
