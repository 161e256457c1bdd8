//! Activations rounded to 8 bits, row by row, as BitNet's linear layers take them.

use super::prelude::*;

params! { RoundRows { columns: u32, stride: u32 } }

/// Two quotients and a product; rounding leads to one whole number wherever none is half way between two.
pub const BOUND: f64 = 1e-6;

/// The smallest largest value that a row is scaled by.
const LEAST: f32 = 1e-5;

pub(super) fn declare() -> Declaration {
    Declaration {
        parts: vec![Part::new(include_str!("../../wgsl/parts/reduce.wgsl"))],
        trials,
        ..Declaration::new::<RoundRows>(&[Uniform, Write])
    }
}

/// The kernel for such rows.
pub fn call(x: Row) -> Call {
    Call::new(Kernel::RoundRows, RoundRows { columns: x.columns, stride: x.stride }, 3, x.columns)
}

/// `x = clamp(round(x · a), -128, 127) / a` over each row, in place, with `a = 127 / max(|x|)` and halves rounded to the even
/// number. x is `[T, H]` f32, T being `rows`. In f32, as transformers computes it: a sum is nowhere.
pub fn twin(x: &mut [f32], rows: usize) {
    let columns = x.len() / rows;
    assert_eq!(x.len(), rows * columns);
    for row in x.chunks_exact_mut(columns) {
        let largest = row.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let a = 127.0 / largest.max(LEAST);
        row.iter_mut().for_each(|x| *x = (*x * a).round_ties_even().clamp(-128.0, 127.0) / a);
    }
}

fn trials() -> Vec<Trial> {
    let trial = |(rows, columns): (usize, usize)| {
        let mut random = Random(17);
        // Nowhere near half way between two whole numbers; the first of a row is its largest.
        let value = |(at, (whole, rest)): (usize, (f32, f32))| {
            let scale = 0.01 * (1 + at / columns) as f32;
            let whole = if at % columns == 0 { 127.0 } else { (126.0 * whole).round() + 0.4 * rest };
            whole * scale
        };
        let wholes = random.values(rows * columns);
        let rests = random.values(rows * columns);
        let x: Vec<f32> = wholes.into_iter().zip(rests).enumerate().map(value).collect();
        let mut want = x.clone();
        twin(&mut want, rows);
        Trial::new(format!("[{rows}, {columns}]"), rows, |rows| call(rows[0])).rows(x).wants(0, want)
    };
    let mut trials: Vec<Trial> = [(1, 7), (3, 31), (33, 64), (5, 257)].map(trial).into();
    trials = trials.into_iter().map(|trial| trial.fault("127.0 / max", "120.0 / max")).collect();
    trials
}
