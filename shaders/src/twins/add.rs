/// `residual += x`. Both are `[T, H]` f32.
pub fn add(residual: &mut [f32], x: &[f32]) {
    assert_eq!(residual.len(), x.len());
    for (residual, x) in residual.iter_mut().zip(x) {
        *residual += x;
    }
}
