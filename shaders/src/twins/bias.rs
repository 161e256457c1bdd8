/// `x += bias`, on every row. x is `[T, N]` f32, bias is `[N]`.
pub fn bias(x: &mut [f32], bias: &[f32]) {
    assert!(x.len().is_multiple_of(bias.len()));
    for row in x.chunks_exact_mut(bias.len()) {
        super::add(row, bias);
    }
}
