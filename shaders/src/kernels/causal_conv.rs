//! The convolution over the last few tokens in front of the delta rule.

use super::prelude::*;

params! { CausalConv { columns: u32, stride: u32, taps: u32, first_token: u32, before: u32 } }

/// Up to 5 products and an exponential.
pub const BOUND: f64 = 5e-7;

pub(super) fn declare() -> Declaration {
    Declaration::new::<CausalConv>(&[Uniform, Read, Read, Read, Write])
}

/// Depthwise causal convolution over each document's tokens, then SiLU:
/// `out[t, c] = silu(Σ_j weight[j, c] · x[t - taps + 1 + j, c])`, with zeros in front of the document.
/// x and out are `[T, C]` f32, weight is `[taps, C]`: the last tap meets the token itself.
pub fn twin(x: &[f32], weight: &[f32], positions: &[u32], out: &mut [f32]) {
    let c = x.len() / positions.len();
    let taps = weight.len() / c;
    assert_eq!((x.len(), out.len()), (positions.len() * c, x.len()));
    assert_eq!(weight.len(), taps * c);
    for (t, &position) in positions.iter().enumerate() {
        for channel in 0..c {
            let mut sum = 0.0f64;
            for back in 0..taps.min(position as usize + 1) {
                let tap = weight[(taps - 1 - back) * c + channel];
                sum += f64::from(tap) * f64::from(x[(t - back) * c + channel]);
            }
            out[t * c + channel] = (sum / (1.0 + (-sum).exp())) as f32;
        }
    }
}
