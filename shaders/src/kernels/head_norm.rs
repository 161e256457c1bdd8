//! RMS norm over the channels of each head.

use super::prelude::*;

params! { HeadNorm { heads: u32, head_dim: u32, stride: u32, eps: f32 } }

/// Up to 128 squares summed in f32, a square root and two products.
pub const BOUND: f64 = 5e-7;

pub(super) fn declare() -> Declaration {
    Declaration {
        parts: vec![Part::new(include_str!("../../wgsl/parts/reduce_heads.wgsl"))],
        trials,
        ..Declaration::new::<HeadNorm>(&[Uniform, Write, Read])
    }
}

/// The kernel for heads of this many channels in such rows.
pub fn call(x: Row, head_dim: u32, eps: f32) -> Call {
    let params = HeadNorm { heads: x.heads(head_dim), head_dim, stride: x.stride, eps };
    Call::new(Kernel::HeadNorm, params, 4, x.columns)
}

/// RMS norm in place over each head's channels: x is `[T, heads * d]` f32, weight is `[d]`.
///
/// Heads are contiguous, so this is [`super::rms_norm::twin`] of x seen as `[T * heads, d]`.
pub fn twin(x: &mut [f32], weight: &[f32], eps: f32) {
    let before = x.to_vec();
    super::rms_norm::twin(&before, weight, eps, x);
}

fn trials() -> Vec<Trial> {
    let sizes = [(1, 1, 32), (31, 3, 33), (65, 5, 64), (33, 2, 128), (257, 3, 63)];
    let trial = |(rows, heads, d): (usize, usize, usize)| {
        let mut random = Random(31);
        let (x, weight) = (random.values(rows * heads * d), random.values(d));
        let mut want = x.clone();
        twin(&mut want, &weight, EPS);
        Trial::new(format!("[{rows}, {heads} x {d}]"), rows, move |rows| call(rows[0], d as u32, EPS))
            .rows(x)
            .vector(weight)
            .wants(0, want)
            .fault("f32(p.head_dim) + p.eps", "f32(p.head_dim + 1u) + p.eps")
    };
    sizes.map(trial).into()
}
