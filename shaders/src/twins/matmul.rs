use bitgauge_core::Matrix;

/// `out = x · wᵀ`. x is `[T, K]` f32, w is `[N, K]` in any stored form, out is `[T, N]` f32.
pub fn matmul(x: &[f32], w: &Matrix, out: &mut [f32]) {
    let (n, k) = (w.rows(), w.cols());
    let t = x.len() / k;
    assert_eq!(x.len(), t * k);
    assert_eq!(out.len(), t * n);
    let w = w.to_f32();
    for t in 0..t {
        for row in 0..n {
            let mut sum = 0.0f64;
            for c in 0..k {
                sum += f64::from(x[t * k + c]) * f64::from(w[row * k + c]);
            }
            out[t * n + row] = sum as f32;
        }
    }
}
