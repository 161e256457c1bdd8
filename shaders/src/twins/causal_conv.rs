/// Depthwise causal convolution over each document's tokens, then SiLU:
/// `out[t, c] = silu(Σ_j weight[j, c] · x[t - taps + 1 + j, c])`, with zeros in front of the document.
/// x and out are `[T, C]` f32, weight is `[taps, C]`: the last tap meets the token itself.
pub fn causal_conv(x: &[f32], weight: &[f32], positions: &[u32], out: &mut [f32]) {
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
