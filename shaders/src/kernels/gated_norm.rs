//! RMS norm over the channels of each head, then a gate.

use super::prelude::*;

params! { GatedNorm { heads: u32, head_dim: u32, stride: u32, eps: f32 } }

/// Up to 64 squares summed in f32, a square root, an exponential and four products.
pub const BOUND: f64 = 1e-6;

pub(super) fn declare() -> Declaration {
    Declaration {
        parts: vec![Part::new(include_str!("../../wgsl/parts/reduce_heads.wgsl"))],
        trials,
        ..Declaration::new::<GatedNorm>(&[Uniform, Write, Read, Read])
    }
}

/// The kernel for heads of this many channels in such rows.
pub fn call(x: Row, head_dim: u32, eps: f32) -> Call {
    let params = GatedNorm { heads: x.heads(head_dim), head_dim, stride: x.stride, eps };
    Call::new(Kernel::GatedNorm, params, 25, x.columns)
}

/// RMS norm over each head's channels, then the gate, in place: `x = x / sqrt(mean(x²) + eps) ∘ weight ∘
/// silu(gate)`. x and gate are `[T, heads * d]` f32, weight is `[d]`.
pub fn twin(x: &mut [f32], weight: &[f32], eps: f32, gate: &[f32]) {
    assert_eq!(x.len(), gate.len());
    let d = weight.len();
    assert_eq!(x.len() % d, 0);
    for (x, gate) in x.chunks_exact_mut(d).zip(gate.chunks_exact(d)) {
        let squares: f64 = x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        let scale = 1.0 / (squares / d as f64 + f64::from(eps)).sqrt();
        for i in 0..d {
            let g = f64::from(gate[i]);
            x[i] = (f64::from(x[i]) * scale * f64::from(weight[i]) * g / (1.0 + (-g).exp())) as f32;
        }
    }
}

fn trials() -> Vec<Trial> {
    let trial = |(rows, heads, d): (usize, usize, usize)| {
        let mut random = Random(141);
        let x = random.values(rows * heads * d);
        let gate = far_out(random.values(x.len()), [1.0, 4.0, 100.0]);
        let weight = random.values(d);
        let mut want = x.clone();
        twin(&mut want, &weight, EPS, &gate);
        Trial::new(format!("[{rows}, {heads} x {d}]"), rows, move |rows| call(rows[0], d as u32, EPS))
            .rows(x)
            .vector(weight)
            .rows(gate)
            .wants(0, want)
            .fault("/ f32(p.head_dim)", "/ f32(p.head_dim + 1u)")
            .fault("(g / (1.0 + exp", "(1.0 / (1.0 + exp")
    };
    HEADS.map(trial).into()
}
