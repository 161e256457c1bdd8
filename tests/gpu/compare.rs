//! How a result is compared with its reference.

/// The largest error as a share of the largest reference value, if it is within the bound.
///
/// A comparison that could pass whatever the kernel did is refused first: lengths that differ,
/// values that are not finite, a reference of nothing but zeros.
#[allow(clippy::neg_cmp_op_on_partial_ord, reason = "an error of NaN must fail too")]
pub fn compare(got: &[f32], want: &[f32], bound: f64) -> Result<f64, String> {
    if got.len() != want.len() || want.is_empty() {
        return Err(format!("{} values, expected {} and at least one", got.len(), want.len()));
    }
    for (name, values) in [("the reference", want), ("the result", got)] {
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            return Err(format!("{name} is {} at index {i}", values[i]));
        }
    }
    let largest = want.iter().fold(0.0f64, |a, b| a.max(f64::from(b.abs())));
    if largest == 0.0 {
        return Err("the reference is all zeros".into());
    }
    let error = |i: usize| (f64::from(got[i]) - f64::from(want[i])).abs() / largest;
    let worst = (0..got.len()).max_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap_or(0);
    if !(error(worst) <= bound) {
        return Err(format!(
            "error {:.3e} over the bound {bound:.1e} at index {worst}: got {}, expected {}",
            error(worst),
            got[worst],
            want[worst]
        ));
    }
    Ok(error(worst))
}

/// What the comparison itself must refuse.
pub fn cases() -> Vec<(String, Result<(), String>)> {
    let refused = |name: &str, got: &[f32], want: &[f32], reason: &str| {
        let result = match compare(got, want, 1e-3) {
            Err(why) if why.contains(reason) => Ok(()),
            other => Err(format!("expected a refusal for `{reason}`, found {other:?}")),
        };
        (format!("comparison refuses {name}"), result)
    };
    vec![
        refused("a wrong length", &[1.0], &[1.0, 2.0], "1 values"),
        refused("nothing", &[], &[], "at least one"),
        refused("NaN in the result", &[1.0, f32::NAN], &[1.0, 2.0], "the result is NaN at index 1"),
        refused("infinity in the reference", &[1.0], &[f32::INFINITY], "the reference is inf at index 0"),
        refused("zeros", &[0.0, 0.0], &[0.0, 0.0], "all zeros"),
        refused("an error over the bound", &[1.0, 2.01], &[1.0, 2.0], "at index 1"),
    ]
}
