//! The gates of the delta rule.

use super::prelude::*;

params! { DecayGates { heads: u32, stride: u32 } }

/// An exponential, a logarithm or a quotient, and a product.
pub const BOUND: f64 = 5e-7;

pub(super) fn declare() -> Declaration {
    Declaration { trials, ..Declaration::new::<DecayGates>(&[Uniform, Write, Write, Read, Read]) }
}

/// The kernel for such rows of a and b.
pub fn call(a: Row) -> Call {
    Call::new(Kernel::DecayGates, DecayGates { heads: a.columns, stride: a.stride }, 60, a.columns)
}

/// The gates of the delta rule, in place: `a = rate ∘ softplus(a + bias)`, the logarithm of what each
/// head keeps of its state, and `b = σ(b)`, how much it writes; `softplus(x) = ln(1 + e^x)`.
/// a and b are `[T, heads]` f32, rate (below 0) and bias are `[heads]`.
pub fn twin(a: &mut [f32], b: &mut [f32], rate: &[f32], bias: &[f32]) {
    let heads = rate.len();
    assert_eq!((a.len(), bias.len()), (b.len(), heads));
    assert_eq!(a.len() % heads, 0);
    for i in 0..a.len() {
        let x = f64::from(a[i]) + f64::from(bias[i % heads]);
        let softplus = x.max(0.0) + (-x.abs()).exp().ln_1p();
        a[i] = (f64::from(rate[i % heads]) * softplus) as f32;
        b[i] = (1.0 / (1.0 + (-f64::from(b[i])).exp())) as f32;
    }
}

fn trials() -> Vec<Trial> {
    let trial = |(rows, heads): (usize, usize), output: usize| {
        let mut random = Random(151);
        let a = far_out(random.values(rows * heads), [1.0, 4.0, 30.0]);
        let b = far_out(random.values(rows * heads), [1.0, 4.0, 100.0]);
        let rate: Vec<f32> = random.values(heads).iter().map(|rate| -rate.abs()).collect();
        let bias = random.values(heads);
        let (mut decay, mut beta) = (a.clone(), b.clone());
        twin(&mut decay, &mut beta, &rate, &bias);
        let (want, from, to) = match output {
            0 => (decay, "log(1.0 + exp(", "log(1.001 + exp("),
            _ => (beta, "b[i] = 1.0 / (1.0 +", "b[i] = 1.0 / (1.001 +"),
        };
        Trial::new(format!("output {output}, [{rows}, {heads}]"), rows, |rows| call(rows[0]))
            .rows(a)
            .rows(b)
            .vector(rate)
            .vector(bias)
            .wants(output, want)
            .flipping(output, 0)
            .fault(from, to)
    };
    let sizes = [(1, 1), (31, 33), (65, 64), (33, 127), (257, 48)];
    sizes.into_iter().flat_map(|size| [trial(size, 0), trial(size, 1)]).collect()
}
