//! Puts the products of rescue rows where they belong.

use super::prelude::*;

params! {
    Scatter {
        columns: u32, first: u32, first_place: u32, x_stride: u32, out_start: u32, out_stride: u32,
    }
}

/// Copies are exact.
pub const BOUND: f64 = 0.0;

pub(super) fn declare() -> Declaration {
    Declaration { trials, ..Declaration::new::<Scatter>(&[Uniform, Read, Read, Write]) }
}

/// `out[:, places[c]] = x[:, c]`. x is `[T, C]` f32, places is `[C]`, out is `[T, columns]` f32.
pub fn twin(x: &[f32], places: &[u32], columns: usize, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(places.len()).zip(out.chunks_exact_mut(columns)) {
        for (value, place) in x.iter().zip(places) {
            out[*place as usize] = *value;
        }
    }
}

fn trials() -> Vec<Trial> {
    let call = |rows: &[Row]| {
        let (x, out) = (rows[0], rows[1]);
        let (first, first_place, out_start) = (0, 0, 0);
        let (columns, x_stride, out_stride) = (x.columns, x.stride, out.stride);
        let params = Scatter { columns, first, first_place, x_stride, out_start, out_stride };
        Call::new(Kernel::Scatter, params, 1, columns)
    };
    let trial = |(rows, columns): (usize, usize)| {
        let x = Random(101).values(rows * columns);
        let places: Vec<u32> = (0..columns as u32).rev().collect();
        let mut want = vec![0.0; x.len()];
        twin(&x, &places, columns, &mut want);
        Trial::new(format!("[{rows}, {columns}]"), rows, call)
            .rows(x)
            .indices(&places)
            .output(columns)
            .wants(2, want)
            .fault("= x[group.x", "= 1.001 * x[group.x")
    };
    SIZES.map(trial).into()
}
