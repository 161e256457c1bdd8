//! Comparison of two lists of numbers that can't pass by accident.

/// The largest difference of a comparison that passed.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// Largest absolute difference.
    pub worst: f64,
}

/// Holds `got` against `want` with an absolute bound. Refuses what would make any comparison
/// pass: different lengths, nothing to compare, a reference of zeros, values that are not finite.
///
/// # Errors
/// Why the comparison failed, with the worst index.
pub fn compare(what: &str, got: &[f32], want: &[f32], bound: f64) -> Result<Comparison, String> {
    if got.len() != want.len() || want.is_empty() {
        return Err(format!("{what}: {} values, expected {}", got.len(), want.len()));
    }
    if want.iter().all(|&x| x == 0.0) {
        return Err(format!("{what}: the reference is all zeros"));
    }
    if let Some(i) = got.iter().zip(want).position(|(g, w)| !g.is_finite() || !w.is_finite()) {
        return Err(format!("{what}: not finite at {i}: got {}, expected {}", got[i], want[i]));
    }
    let difference = |i: usize| (f64::from(got[i]) - f64::from(want[i])).abs();
    let at = (0..want.len()).max_by(|&a, &b| difference(a).total_cmp(&difference(b))).unwrap_or(0);
    let worst = difference(at);
    if worst.is_nan() || worst > bound {
        return Err(format!(
            "{what}: off by {worst:e} at {at} of {}: got {}, expected {}, bound {bound:e}",
            want.len(),
            got[at],
            want[at]
        ));
    }
    Ok(Comparison { worst })
}
