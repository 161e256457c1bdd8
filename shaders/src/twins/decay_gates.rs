/// The gates of the delta rule, in place: `a = rate ∘ softplus(a + bias)`, the logarithm of what each
/// head keeps of its state, and `b = σ(b)`, how much it writes; `softplus(x) = ln(1 + e^x)`.
/// a and b are `[T, heads]` f32, rate (below 0) and bias are `[heads]`.
pub fn decay_gates(a: &mut [f32], b: &mut [f32], rate: &[f32], bias: &[f32]) {
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
