//! Cuts each head in two.

use super::prelude::*;

params! { SplitHeads { heads: u32, head_dim: u32, x_stride: u32, stride: u32 } }

/// Copies are exact.
pub const BOUND: f64 = 0.0;

pub(super) fn declare() -> Declaration {
    Declaration { trials, ..Declaration::new::<SplitHeads>(&[Uniform, Read, Write, Write]) }
}

/// The kernel for heads of twice this many channels in rows of x, the halves being in rows like `half`.
pub fn call(x: Row, half: Row, head_dim: u32) -> Call {
    let params =
        SplitHeads { heads: x.heads(2 * head_dim), head_dim, x_stride: x.stride, stride: half.stride };
    Call::new(Kernel::SplitHeads, params, 1, x.columns)
}

/// `first = x[.., head, ..d]`, `second = x[.., head, d..]` for each head: x is `[T, heads * 2 d]` f32,
/// first and second are `[T, heads * d]`.
pub fn twin(x: &[f32], head_dim: usize, first: &mut [f32], second: &mut [f32]) {
    assert_eq!(x.len() % (2 * head_dim), 0);
    assert_eq!((2 * first.len(), 2 * second.len()), (x.len(), x.len()));
    for head in 0..x.len() / (2 * head_dim) {
        for i in 0..head_dim {
            first[head * head_dim + i] = x[2 * head * head_dim + i];
            second[head * head_dim + i] = x[(2 * head + 1) * head_dim + i];
        }
    }
}

fn trials() -> Vec<Trial> {
    let trial = |(rows, heads, d): (usize, usize, usize), is_second: bool| {
        let x = Random(101).values(rows * heads * 2 * d);
        let [mut first, mut second] = [vec![0.0; x.len() / 2], vec![0.0; x.len() / 2]];
        twin(&x, d, &mut first, &mut second);
        let name = format!("half {}, [{rows}, {heads} x {d}]", u8::from(is_second));
        let trial = Trial::new(name, rows, move |rows| call(rows[0], rows[1], d as u32))
            .rows(x)
            .output(heads * d)
            .output(heads * d);
        if is_second {
            let fault = ("x[from_channel + p.head_dim]", "x[from_channel + p.head_dim - 1u]");
            trial.wants(2, second).flipping(0, d).fault(fault.0, fault.1)
        } else {
            let place = "first[group.x * p.stride + i] = x[from_channel];";
            trial.wants(1, first).fault(place, "first[group.x * p.stride + i] = x[from_channel + 1u];")
        }
    };
    HEADS.into_iter().flat_map(|size| [trial(size, false), trial(size, true)]).collect()
}
