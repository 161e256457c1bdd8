//! The rows of a table of weights.

use super::prelude::*;
use bitgauge_core::Matrix;

params! { Embed { first_token: u32, first_row: u32, rows: u32, quads: u32, stride: u32 } }

/// The codecs and their sums of bases are exact.
pub const BOUND: f64 = 0.0;

pub(super) fn declare(codec: Codec) -> Declaration {
    let bindings = &[Uniform, Read, Write];
    Declaration { codec: Some(codec), parts: vec![codec.part()], ..Declaration::new::<Embed>(bindings) }
}

/// `out[t, :] = table[ids[t], :]`. table is `[V, H]`, ids is `[T]`, out is `[T, H]` f32.
pub fn twin(table: &Matrix, ids: &[u32], out: &mut [f32]) {
    let h = table.cols();
    assert_eq!(out.len(), ids.len() * h);
    let rows = table.to_f32();
    for (t, &id) in ids.iter().enumerate() {
        out[t * h..][..h].copy_from_slice(&rows[id as usize * h..][..h]);
    }
}
