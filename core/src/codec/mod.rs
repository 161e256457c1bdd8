//! The packed format of FORMAT.md: the only place that knows bits.
//!
//! Reading goes [`group`] -> [`Layout::derive`] -> [`decode`] (or [`PayloadCheck`], which holds no
//! tensor), writing [`quantize`] -> [`encode`]. A weight `P.weight` of logical shape `[N, K]` has
//! `M = N - R` binary rows in `B` additive sign bases, and `R` rescue rows of 4-bit codes.

mod check;
mod decode;
mod encode;
mod group;
mod layout;
mod part;
mod quantize;
mod statistics;

pub use check::PayloadCheck;
pub use decode::{decode, decode_dense, decode_values};
pub use encode::encode;
pub use group::{Doubled, Form, Grouping, StoredWeight, group};
pub use layout::{Bits, Layout};
pub use part::{Part, Parts};
pub use quantize::{Settings, choose_rescue_rows, quantize};
pub use statistics::Statistics;
