//! Adds a bias to every row.

use super::prelude::*;

params! { Bias { columns: u32, stride: u32 } }

/// One rounding, the same on both sides.
pub const BOUND: f64 = 0.0;

pub(super) fn declare() -> Declaration {
    Declaration { trials, ..Declaration::new::<Bias>(&[Uniform, Write, Read]) }
}

/// The kernel for such rows.
pub fn call(x: Row) -> Call {
    Call::new(Kernel::Bias, Bias { columns: x.columns, stride: x.stride }, 1, x.columns)
}

/// `x += bias`, on every row. x is `[T, N]` f32, bias is `[N]`.
pub fn twin(x: &mut [f32], bias: &[f32]) {
    assert!(x.len().is_multiple_of(bias.len()));
    for row in x.chunks_exact_mut(bias.len()) {
        super::add::twin(row, bias);
    }
}

fn trials() -> Vec<Trial> {
    let trial = |(rows, columns): (usize, usize)| {
        let mut random = Random(91);
        let (x, bias) = (random.values(rows * columns), random.values(columns));
        let mut want = x.clone();
        twin(&mut want, &bias);
        Trial::new(format!("[{rows}, {columns}]"), rows, |rows| call(rows[0]))
            .rows(x)
            .vector(bias)
            .wants(0, want)
            .fault("+= bias[c]", "-= bias[c]")
    };
    SIZES.map(trial).into()
}
