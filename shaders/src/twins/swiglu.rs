/// `gate = silu(gate) ∘ up` in place, `silu(x) = x / (1 + e^-x)`. Both are `[T, I]` f32.
pub fn swiglu(gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len());
    for (gate, up) in gate.iter_mut().zip(up) {
        let g = f64::from(*gate);
        *gate = (g / (1.0 + (-g).exp()) * f64::from(*up)) as f32;
    }
}
