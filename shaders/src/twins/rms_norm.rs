/// `out = x / sqrt(mean(x²) + eps) ∘ weight` over each row. x and out are `[T, H]` f32, weight is
/// `[H]`.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let h = weight.len();
    assert_eq!(x.len(), out.len());
    assert_eq!(x.len() % h, 0);
    for t in 0..x.len() / h {
        let mut squares = 0.0f64;
        for i in 0..h {
            squares += f64::from(x[t * h + i]) * f64::from(x[t * h + i]);
        }
        let scale = 1.0 / (squares / h as f64 + f64::from(eps)).sqrt();
        for i in 0..h {
            out[t * h + i] = (f64::from(x[t * h + i]) * scale * f64::from(weight[i])) as f32;
        }
    }
}
