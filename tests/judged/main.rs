//! What is said of small models whose every figure is known beforehand: which bits, which gate, which
//! layer, which words. Each number here was counted by hand from the shapes, by FORMAT.md.

mod archives;
mod caps;
mod claims;
mod compressed;
mod differences;
mod figures;
mod files;
mod folders;
mod gates;
mod gguf;
mod links;
mod loader;
mod matching;
mod methods;
mod model;
mod opaque;
mod places;
mod proxies;
mod readers;
mod sums;
mod tars;
mod uncertainty;
mod words;
mod zips;
