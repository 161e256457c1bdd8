//! The browser inspector: a static page over `bitgauge-core`, compiled to WebAssembly.
//!
//! What the page says is decided in plain modules that build and are tested on any machine. Only
//! `page`, which draws it, and `worker`, which reads the files, need a browser. Both are one
//! WebAssembly module: [`start`] sees which of the two it is in. The worker for rarer formats is another, without
//! `page` (the features of Cargo.toml say what is in which).
#![forbid(unsafe_code)]

pub mod address;
pub mod caps;
pub mod headline;
pub mod markup;
#[cfg(all(target_arch = "wasm32", feature = "page"))]
mod page;
pub mod protocol;
pub mod sections;
pub mod text;
#[cfg(target_arch = "wasm32")]
mod worker;

/// Draws the page into the document's body, or starts to serve it as its worker. Call it once, when
/// the module has started.
#[cfg(target_arch = "wasm32")]
pub fn start() {
    #[cfg(feature = "page")]
    if web_sys::window().is_some() {
        return leptos::mount::mount_to_body(page::Whole);
    }
    worker::serve();
}

/// Outside a browser there is nothing to draw on: says how to build the page, and exits with 2.
#[cfg(not(target_arch = "wasm32"))]
pub fn start() {
    eprintln!("inspector-web is a web page, not a program.");
    eprintln!("hint: run `./test --only page` at the root of the repository (see inspector-web/README.md)");
    std::process::exit(2);
}
