//! Numbers in words, for people.

/// `number` with a comma between groups of three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number with its sign in front of grouped digits: `+1,234`, `−71,321`.
pub fn signed(number: i64) -> String {
    let digits = count(number.unsigned_abs());
    if number < 0 { format!("−{digits}") } else { format!("+{digits}") }
}

/// Bytes in decimal units, as disks and downloads are measured: `2.49 MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{:.2} {unit}", bytes as f64 / *size as f64),
        None => format!("{bytes} B"),
    }
}

/// Bits as bytes in decimal units; a part of a byte shows below a kilobyte.
pub fn bits_as_bytes(bits: u64) -> String {
    if bits < 8_000 && !bits.is_multiple_of(8) {
        return format!("{:.1} B", bits as f64 / 8.0);
    }
    bytes(bits / 8)
}

/// `part` of `whole` in per cent with two digits, or a dash when there is no whole.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".into();
    }
    format!("{:.2} %", 100.0 * part as f64 / whole as f64)
}

/// Seconds as `12 s`, `3 min 20 s` or `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds.round().max(0.0) as u64 } else { 0 };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1 gate`, `2 gates`.
pub fn plural(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_from_the_right() {
        let cases = [(7, "7"), (999, "999"), (1_000, "1,000"), (65_536, "65,536"), (1_000_000, "1,000,000")];
        for (number, expected) in cases {
            assert_eq!(count(number), expected);
        }
        assert_eq!((signed(-71_321).as_str(), signed(24_660).as_str()), ("−71,321", "+24,660"));
    }

    #[test]
    fn sizes_and_times_have_the_unit_that_a_person_would_choose() {
        assert_eq!((bytes(999).as_str(), bytes(2_492_547).as_str()), ("999 B", "2.49 MB"));
        assert_eq!((bits_as_bytes(12).as_str(), bits_as_bytes(8_000_000).as_str()), ("1.5 B", "1.00 MB"));
        assert_eq!((percent(1, 8).as_str(), percent(1, 0).as_str()), ("12.50 %", "–"));
        let cases =
            [(0.4, "0 s"), (59.4, "59 s"), (200.0, "3 min 20 s"), (7_500.0, "2 h 5 min"), (f64::NAN, "0 s")];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
        assert_eq!((plural(1, "gate").as_str(), plural(2_000, "file").as_str()), ("1 gate", "2,000 files"));
    }
}
