//! The gate of the MLP.

use super::prelude::*;

params! { Swiglu { quads: u32 } }

/// An exponential, a quotient and a product.
pub const BOUND: f64 = 5e-7;

pub(super) fn declare() -> Declaration {
    Declaration { trials, ..Declaration::new::<Swiglu>(&[Uniform, Write, Read]) }
}

/// The kernel for gates in such rows.
pub fn call(gate: Row) -> Call {
    Call::new(Kernel::Swiglu, Swiglu { quads: gate.quads() }, 20, gate.columns)
}

/// `gate = silu(gate) ∘ up` in place, `silu(x) = x / (1 + e^-x)`. Both are `[T, I]` f32.
pub fn twin(gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len());
    for (gate, up) in gate.iter_mut().zip(up) {
        let g = f64::from(*gate);
        *gate = (g / (1.0 + (-g).exp()) * f64::from(*up)) as f32;
    }
}

fn trials() -> Vec<Trial> {
    let trial = |(rows, columns): (usize, usize)| {
        let mut random = Random(71);
        let gate = far_out(random.values(rows * columns), [1.0, 4.0, 100.0]);
        let up = random.values(rows * columns);
        let mut want = gate.clone();
        twin(&mut want, &up);
        Trial::new(format!("[{rows}, {columns}]"), rows, |rows| call(rows[0]))
            .rows(gate)
            .rows(up)
            .wants(0, want)
            .fault("g / (1.0 + exp", "g / (1.001 + exp")
    };
    SIZES.map(trial).into()
}
