//! How a result is compared with its reference: relative to the largest reference value.

/// The largest error as a share of the largest reference value, if it is within the bound.
pub fn compare(got: &[f32], want: &[f32], bound: f64) -> Result<f64, String> {
    let largest = want.iter().fold(0.0f64, |a, b| a.max(f64::from(b.abs())));
    let compared = conformance::compare("the result", got, want, bound * largest)?;
    Ok(compared.worst / largest)
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
        refused("a wrong length", &[1.0], &[1.0, 2.0], "1 values, expected 2"),
        refused("nothing", &[], &[], "0 values, expected 0"),
        refused("NaN in the result", &[1.0, f32::NAN], &[1.0, 2.0], "not finite at 1"),
        refused("infinity in the reference", &[1.0], &[f32::INFINITY], "not finite at 0"),
        refused("zeros", &[0.0, 0.0], &[0.0, 0.0], "all zeros"),
        refused("an error over the bound", &[1.0, 2.01], &[1.0, 2.0], "at 1 of 2"),
    ]
}
