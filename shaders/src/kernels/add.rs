//! Adds rows to the residual stream.

use super::prelude::*;

params! { Add { quads: u32 } }

/// One rounding, the same on both sides.
pub const BOUND: f64 = 0.0;

pub(super) fn declare() -> Declaration {
    Declaration { trials, ..Declaration::new::<Add>(&[Uniform, Write, Read]) }
}

/// The kernel for residuals in such rows.
pub fn call(residual: Row) -> Call {
    Call::new(Kernel::Add, Add { quads: residual.quads() }, 1, residual.columns)
}

/// `residual += x`. Both are `[T, H]` f32.
pub fn twin(residual: &mut [f32], x: &[f32]) {
    assert_eq!(residual.len(), x.len());
    for (residual, x) in residual.iter_mut().zip(x) {
        *residual += x;
    }
}

fn trials() -> Vec<Trial> {
    let trial = |(rows, columns): (usize, usize)| {
        let mut random = Random(81);
        let (residual, x) = (random.values(rows * columns), random.values(rows * columns));
        let mut want = residual.clone();
        twin(&mut want, &x);
        Trial::new(format!("[{rows}, {columns}]"), rows, |rows| call(rows[0]))
            .rows(residual)
            .rows(x)
            .wants(0, want)
            .fault("residual[i] += x[i]", "residual[i] -= x[i]")
    };
    SIZES.map(trial).into()
}
