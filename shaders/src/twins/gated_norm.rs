/// RMS norm over each head's channels, then the gate, in place: `x = x / sqrt(mean(x²) + eps) ∘ weight ∘
/// silu(gate)`. x and gate are `[T, heads * d]` f32, weight is `[d]`.
pub fn gated_norm(x: &mut [f32], weight: &[f32], eps: f32, gate: &[f32]) {
    assert_eq!(x.len(), gate.len());
    let d = weight.len();
    assert_eq!(x.len() % d, 0);
    for (x, gate) in x.chunks_exact_mut(d).zip(gate.chunks_exact(d)) {
        let squares: f64 = x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        let scale = 1.0 / (squares / d as f64 + f64::from(eps)).sqrt();
        for i in 0..d {
            let g = f64::from(gate[i]);
            x[i] = (f64::from(x[i]) * scale * f64::from(weight[i]) * g / (1.0 + (-g).exp())) as f32;
        }
    }
}
