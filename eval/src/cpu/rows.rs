//! The kernels that work row by row: norms, rotary, gates, residual.
//!
//! Plain loops over independent lanes, compiled for every instruction set by [`vectorised`].

use super::isa::vectorised;

/// Independent partial sums: enough for one AVX-512 vector of f32 and exact enough for long rows.
const LANES: usize = 16;

/// `Σ x²`, in f64.
#[inline(always)]
fn sum_of_squares(x: &[f32]) -> f64 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0f64; LANES];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(*x) * f64::from(*x);
        }
    }
    let rest: f64 = rest.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    lanes.iter().sum::<f64>() + rest
}

/// What RMS norm multiplies a row by: `1 / sqrt(mean(x²) + eps)`.
#[inline(always)]
fn inverse_rms(x: &[f32], eps: f32) -> f32 {
    (1.0 / (sum_of_squares(x) / x.len() as f64 + f64::from(eps)).sqrt()) as f32
}

vectorised! {
    /// `out = x / rms(x) ∘ weight` for one row.
    pub(super) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        let scale = inverse_rms(x, eps);
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * weight;
        }
    }

    /// The same in place for every head of one token's row; weight is `[head_dim]`.
    pub(super) fn head_norm(row: &mut [f32], weight: &[f32], eps: f32) {
        for head in row.chunks_exact_mut(weight.len()) {
            let scale = inverse_rms(head, eps);
            for (x, weight) in head.iter_mut().zip(weight) {
                *x = *x * scale * weight;
            }
        }
    }

    /// Rotates channel pairs `(i, i + n)` of every head in one token's row by the angles with these
    /// cosines and sines, `[n]` each.
    pub(super) fn rotate(row: &mut [f32], head_dim: usize, cos: &[f32], sin: &[f32]) {
        for head in row.chunks_exact_mut(head_dim) {
            let (low, high) = head.split_at_mut(cos.len());
            for (((a, b), cos), sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }

    /// `gate = silu(gate) ∘ up`.
    pub(super) fn swiglu(gate: &mut [f32], up: &[f32]) {
        for (gate, up) in gate.iter_mut().zip(up) {
            *gate = *gate / (1.0 + exp(-*gate)) * up;
        }
    }

    /// The same for each head, times `silu(gate)`; weight is `[head_dim]`.
    pub(super) fn gated_norm(row: &mut [f32], weight: &[f32], eps: f32, gate: &[f32]) {
        for (head, gate) in row.chunks_exact_mut(weight.len()).zip(gate.chunks_exact(weight.len())) {
            let scale = inverse_rms(head, eps);
            for ((x, weight), gate) in head.iter_mut().zip(weight).zip(gate) {
                *x = *x * scale * weight * (gate / (1.0 + exp(-gate)));
            }
        }
    }

    /// `x = x / sqrt(Σ x² + eps)` in place for every head of these.
    pub(super) fn l2_norm(heads: &mut [f32], head_dim: usize, eps: f32) {
        for head in heads.chunks_exact_mut(head_dim) {
            let scale = (1.0 / (sum_of_squares(head) + f64::from(eps)).sqrt()) as f32;
            for x in head {
                *x *= scale;
            }
        }
    }

    /// `x = x ∘ σ(gate)`.
    pub(super) fn sigmoid_gate(x: &mut [f32], gate: &[f32]) {
        for (x, gate) in x.iter_mut().zip(gate) {
            *x /= 1.0 + exp(-*gate);
        }
    }

    /// `out += tap ∘ x`.
    pub(super) fn add_product(tap: &[f32], x: &[f32], out: &mut [f32]) {
        for ((out, tap), x) in out.iter_mut().zip(tap).zip(x) {
            *out += tap * x;
        }
    }

    /// `x = silu(x)`.
    pub(super) fn silu(x: &mut [f32]) {
        for x in x {
            *x /= 1.0 + exp(-*x);
        }
    }

    /// `residual += x`.
    pub(super) fn add(residual: &mut [f32], x: &[f32]) {
        for (residual, x) in residual.iter_mut().zip(x) {
            *residual += x;
        }
    }
}

/// Rounds a row to 8 bits by its largest value, in f32 as transformers does: rounding leaves no room for other sums.
pub(super) fn round_row(x: &mut [f32]) {
    let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let factor = 127.0 / largest.max(1e-5);
    x.iter_mut().for_each(|x| *x = (*x * factor).round_ties_even().clamp(-128.0, 127.0) / factor);
}

/// The gates of one token, whose few numbers are worth the library's exact functions:
/// `a = rate ∘ ln(1 + e^(a + bias))`, `b = σ(b)`.
pub(super) fn decay_gates(a: &mut [f32], b: &mut [f32], rate: &[f32], bias: &[f32]) {
    for (((a, b), rate), bias) in a.iter_mut().zip(b).zip(rate).zip(bias) {
        let x = *a + bias;
        *a = rate * (x.max(0.0) + (-x.abs()).exp().ln_1p());
        *b = 1.0 / (1.0 + (-*b).exp());
    }
}

/// The largest element, or -∞ for none. NaN is passed over here and shows in the sum.
#[inline(always)]
pub(super) fn max(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| a.max(*b))
}

/// Replaces each element by `exp(x - shift)` and returns their sum.
#[inline(always)]
pub(super) fn exp_and_sum(x: &mut [f32], shift: f32) -> f32 {
    let (chunks, rest) = x.as_chunks_mut::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *x = exp(*x - shift);
            *lane += *x;
        }
    }
    let mut sum: f32 = lanes.iter().sum();
    for x in rest {
        *x = exp(*x - shift);
        sum += *x;
    }
    sum
}

/// `e^x` without branches or calls, so that loops over it vectorise. Relative error at most
/// 2e-7 between -87 and 88, the result of the nearer end outside, NaN for NaN.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`; the polynomial for `e^r` is that of Cephes' `expf`.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// Adding it leaves the nearest integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts; the first has few enough bits that its product with n is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const POLYNOMIAL: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1];

    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let p = POLYNOMIAL.iter().fold(0.0, |p, c| p * r + c);
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(0x3f80_0000));
    (p * r * r + r + 1.0) * power
}
