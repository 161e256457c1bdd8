//! Times in words, for people.

/// Seconds as `12 s`, `3 min 20 s` or `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.round().max(0.0) as u64 } else { 0 };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn times_have_the_unit_that_a_person_would_choose() {
        let cases =
            [(0.4, "0 s"), (59.4, "59 s"), (200.0, "3 min 20 s"), (7_500.0, "2 h 5 min"), (f64::NAN, "0 s")];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
    }
}
