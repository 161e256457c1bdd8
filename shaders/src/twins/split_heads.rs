/// `first = x[.., head, ..d]`, `second = x[.., head, d..]` for each head: x is `[T, heads * 2 d]` f32,
/// first and second are `[T, heads * d]`.
pub fn split_heads(x: &[f32], head_dim: usize, first: &mut [f32], second: &mut [f32]) {
    assert_eq!(x.len() % (2 * head_dim), 0);
    assert_eq!((2 * first.len(), 2 * second.len()), (x.len(), x.len()));
    for head in 0..x.len() / (2 * head_dim) {
        for i in 0..head_dim {
            first[head * head_dim + i] = x[2 * head * head_dim + i];
            second[head * head_dim + i] = x[(2 * head + 1) * head_dim + i];
        }
    }
}
