//! L2 norm over the channels of the first heads of a row.

use super::prelude::*;

params! { L2Norm { heads: u32, head_dim: u32, stride: u32, eps: f32 } }

/// Up to 64 squares summed in f32, a square root and a product.
pub const BOUND: f64 = 1e-6;

pub(super) fn declare() -> Declaration {
    Declaration {
        parts: vec![Part::new(include_str!("../../wgsl/parts/reduce_heads.wgsl"))],
        trials,
        ..Declaration::new::<L2Norm>(&[Uniform, Write])
    }
}

/// The kernel for the first `heads` heads of this many channels in such rows.
pub fn call(x: Row, heads: u32, head_dim: u32, eps: f32) -> Call {
    Call::new(Kernel::L2Norm, L2Norm { heads, head_dim, stride: x.stride, eps }, 3, heads * head_dim)
}

/// `x = x / sqrt(Σ x² + eps)` in place over the channels of each of the first `heads` heads of a row.
/// x is `[T, N]` f32, T being `rows`; what follows those heads passes through.
pub fn twin(x: &mut [f32], rows: usize, heads: usize, head_dim: usize, eps: f32) {
    let n = x.len() / rows;
    assert_eq!(x.len(), rows * n);
    assert!(heads * head_dim <= n);
    for row in x.chunks_exact_mut(n) {
        for head in row[..heads * head_dim].chunks_exact_mut(head_dim) {
            let squares: f64 = head.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            let scale = 1.0 / (squares + f64::from(eps)).sqrt();
            head.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
        }
    }
}

fn trials() -> Vec<Trial> {
    let trial = |(rows, heads, d): (usize, usize, usize)| {
        // One head more than is normed.
        let x = Random(131).values(rows * (heads + 1) * d);
        let mut want = x.clone();
        twin(&mut want, rows, heads, d, EPS);
        let call = move |rows: &[Row]| call(rows[0], heads as u32, d as u32, EPS);
        Trial::new(format!("[{rows}, {heads} x {d}]"), rows, call)
            .rows(x)
            .wants(0, want)
            .fault("+ p.eps", "+ 1e5 * p.eps")
            .fault("head < p.heads", "head <= p.heads")
    };
    HEADS.map(trial).into()
}
