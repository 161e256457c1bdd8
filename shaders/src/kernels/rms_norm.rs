//! RMS norm over rows.

use super::prelude::*;

params! { RmsNorm { columns: u32, quads: u32, eps: f32 } }

/// Up to 257 squares summed in f32, a square root and two products.
pub const BOUND: f64 = 5e-7;

pub(super) fn declare() -> Declaration {
    Declaration {
        parts: vec![Part::new(include_str!("../../wgsl/parts/reduce.wgsl"))],
        trials,
        ..Declaration::new::<RmsNorm>(&[Uniform, Read, Read, Write])
    }
}

/// The kernel for such rows.
pub fn call(x: Row, eps: f32) -> Call {
    Call::new(Kernel::RmsNorm, RmsNorm { columns: x.columns, quads: x.quads(), eps }, 4, x.columns)
}

/// `out = x / sqrt(mean(x²) + eps) ∘ weight` over each row. x and out are `[T, H]` f32, weight is
/// `[H]`.
pub fn twin(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let h = weight.len();
    assert_eq!(x.len(), out.len());
    assert_eq!(x.len() % h, 0);
    for t in 0..x.len() / h {
        let mut squares = 0.0f64;
        for i in 0..h {
            squares += f64::from(x[t * h + i]) * f64::from(x[t * h + i]);
        }
        let scale = 1.0 / (squares / h as f64 + f64::from(eps)).sqrt();
        for i in 0..h {
            out[t * h + i] = (f64::from(x[t * h + i]) * scale * f64::from(weight[i])) as f32;
        }
    }
}

fn trials() -> Vec<Trial> {
    let sizes = [(1, 1), (1, 31), (33, 32), (3, 64), (65, 63), (64, 65), (7, 127), (257, 257)];
    let trial = |(rows, columns): (usize, usize)| {
        let mut random = Random(21);
        let (x, weight) = (random.values(rows * columns), random.values(columns));
        let mut want = vec![0.0; x.len()];
        twin(&x, &weight, EPS, &mut want);
        Trial::new(format!("[{rows}, {columns}]"), rows, |rows| call(rows[0], EPS))
            .rows(x)
            .vector(weight)
            .output(columns)
            .wants(2, want)
            .fault("mean + p.eps", "mean + 1e3 * p.eps")
    };
    sizes.map(trial).into()
}
