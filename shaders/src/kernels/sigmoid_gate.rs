//! The gate of attention.

use super::prelude::*;

params! { SigmoidGate { quads: u32 } }

/// An exponential, a quotient and a product.
pub const BOUND: f64 = 5e-7;

pub(super) fn declare() -> Declaration {
    Declaration { trials, ..Declaration::new::<SigmoidGate>(&[Uniform, Write, Read]) }
}

/// The kernel for such rows.
pub fn call(x: Row) -> Call {
    Call::new(Kernel::SigmoidGate, SigmoidGate { quads: x.quads() }, 20, x.columns)
}

/// `x = x ∘ σ(gate)` in place, `σ(g) = 1 / (1 + e^-g)`. Both are `[T, N]` f32.
pub fn twin(x: &mut [f32], gate: &[f32]) {
    assert_eq!(x.len(), gate.len());
    for (x, gate) in x.iter_mut().zip(gate) {
        *x = (f64::from(*x) / (1.0 + (-f64::from(*gate)).exp())) as f32;
    }
}

fn trials() -> Vec<Trial> {
    let trial = |(rows, columns): (usize, usize)| {
        let mut random = Random(111);
        let x = random.values(rows * columns);
        let gate = far_out(random.values(rows * columns), [1.0, 4.0, 100.0]);
        let mut want = x.clone();
        twin(&mut want, &gate);
        Trial::new(format!("[{rows}, {columns}]"), rows, |rows| call(rows[0]))
            .rows(x)
            .rows(gate)
            .wants(0, want)
            .fault("/ (1.0 + exp", "/ (1.001 + exp")
    };
    SIZES.map(trial).into()
}
