/// `x = x / sqrt(Σ x² + eps)` in place over the channels of each of the first `heads` heads of a row.
/// x is `[T, N]` f32, T being `rows`; what follows those heads passes through.
pub fn l2_norm(x: &mut [f32], rows: usize, heads: usize, head_dim: usize, eps: f32) {
    let n = x.len() / rows;
    assert_eq!(x.len(), rows * n);
    assert!(heads * head_dim <= n);
    for row in x.chunks_exact_mut(n) {
        for head in row[..heads * head_dim].chunks_exact_mut(head_dim) {
            let squares: f64 = head.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            let scale = 1.0 / (squares + f64::from(eps)).sqrt();
            head.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
        }
    }
}
