/// RMS norm in place over each head's channels: x is `[T, heads * d]` f32, weight is `[d]`.
///
/// Heads are contiguous, so this is [`super::rms_norm`] of x seen as `[T * heads, d]`.
pub fn head_norm(x: &mut [f32], weight: &[f32], eps: f32) {
    let before = x.to_vec();
    super::rms_norm(&before, weight, eps, x);
}
