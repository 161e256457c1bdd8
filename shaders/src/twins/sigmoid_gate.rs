/// `x = x ∘ σ(gate)` in place, `σ(g) = 1 / (1 + e^-g)`. Both are `[T, N]` f32.
pub fn sigmoid_gate(x: &mut [f32], gate: &[f32]) {
    assert_eq!(x.len(), gate.len());
    for (x, gate) in x.iter_mut().zip(gate) {
        *x = (f64::from(*x) / (1.0 + (-f64::from(*gate)).exp())) as f32;
    }
}
