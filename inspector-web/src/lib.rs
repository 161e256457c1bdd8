//! The browser inspector: a static page over `bitgauge-core`, compiled to WebAssembly.
//!
//! What the page says is decided in plain modules that build and are tested on any machine. Only
//! `page`, which draws it, and `worker`, which reads the files, need a browser. They are WebAssembly modules of their
//! own, and the worker for rarer formats is a third (the features of Cargo.toml say what is in which).
#![forbid(unsafe_code)]

pub mod accident;
pub mod address;
pub mod arrange;
pub mod caps;
#[cfg(target_arch = "wasm32")]
pub mod files;
pub mod headline;
#[cfg(feature = "page")]
pub mod layout;
pub mod markup;
#[cfg(all(target_arch = "wasm32", feature = "page"))]
mod page;
pub mod protocol;
#[cfg(target_arch = "wasm32")]
pub mod remote;
pub mod sections;
pub mod text;
#[cfg(all(target_arch = "wasm32", feature = "worker"))]
mod worker;

/// Draws the page into the document's body. Call it once, when the module has started.
#[cfg(all(target_arch = "wasm32", feature = "page"))]
pub fn draw() {
    leptos::mount::mount_to_body(page::Whole);
}

/// Serves the page as its worker. Call it once, when the module has started.
#[cfg(all(target_arch = "wasm32", feature = "worker"))]
pub fn serve() {
    worker::serve();
}

/// Outside a browser there is nothing to draw on: says how to build the page, and exits with 2.
#[cfg(not(target_arch = "wasm32"))]
pub fn draw() {
    eprintln!("inspector-web is a web page, not a program.");
    eprintln!("hint: run `./test --only page` at the root of the repository (see inspector-web/README.md)");
    std::process::exit(2);
}
