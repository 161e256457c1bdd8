//! The packed format of FORMAT.md, GGUF's block formats and other writers' [`layouts`]: the only place that knows bits.
//!
//! Reading goes [`group`] -> [`Layout::derive`] -> [`decode`] (or [`PayloadCheck`], which holds no
//! tensor), writing [`encode`]. A weight `P.weight` of logical shape `[N, K]` has
//! `M = N - R` binary rows in `B` additive sign bases, and `R` rescue rows of 4-bit codes.

pub mod bits;
mod blocks;
mod check;
mod decode;
mod encode;
mod finite;
mod group;
mod layout;
pub mod layouts;
mod loader;
mod matrix;
mod part;
mod rows;
mod statistics;
mod values;

pub use blocks::{decode_blocks, is_kept, keep_blocks, round_blocks};
pub use check::PayloadCheck;
pub use decode::{decode, decode_dense, decode_values};
pub use encode::encode;
pub use finite::FiniteCheck;
pub use group::{Doubled, Form, Grouping, StoredWeight, group};
pub use layout::{Bits, Layout, QuantConfig};
pub use loader::{LOADER, LOADER_CLASS, LOADER_FILE, LOADER_SHA256, OLD_LOADER_SHA256};
pub use matrix::{Bitpacked, Blocks, Matrix, RowSlot};
pub use part::{Part, Parts};
pub use rows::PackedRows;
pub use statistics::Statistics;
pub use values::{Elements, TwoValues};
