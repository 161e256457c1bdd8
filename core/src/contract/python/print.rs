//! Numbers and strings as Python prints them.
//!
//! rustpython-literal 0.6 has the same forms, but adds 26 crates to the lock file, ICU's tables among them, to tell which
//! characters are printable: more than the hundred lines below are worth.

use std::fmt::Write;

/// `repr(float)`: the shortest digits that read back as the same number, always with a point or an
/// exponent.
pub fn float_repr(value: f64) -> String {
    if !value.is_finite() {
        return non_finite(value).to_owned();
    }
    let (digits, exponent) = shortest(value);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if (-4..16).contains(&exponent) {
        format!("{sign}{}", plain(&digits, exponent))
    } else {
        format!("{sign}{}", scientific(&digits, exponent))
    }
}

/// `'%.6f' % value`: the exact binary value rounded half to even.
pub fn fixed6(value: f64) -> String {
    if value.is_finite() { format!("{value:.6}") } else { non_finite(value).to_owned() }
}

/// `'%.12g' % value`.
pub fn significant12(value: f64) -> String {
    if !value.is_finite() {
        return non_finite(value).to_owned();
    }
    // Rounding can carry into another power of ten, so the exponent is read off the rounded number.
    let rounded = format!("{:.11e}", value.abs());
    let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = mantissa.replace('.', "");
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let text =
        if (-4..12).contains(&exponent) { plain(digits, exponent) } else { scientific(digits, exponent) };
    format!("{sign}{}", text.strip_suffix(".0").unwrap_or(&text))
}

fn non_finite(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "inf",
        f64::NEG_INFINITY => "-inf",
        _ => "nan",
    }
}

/// The shortest decimal digits of |value| and the exponent of the first.
fn shortest(value: f64) -> (String, i32) {
    let text = format!("{:e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

/// Digits with a decimal point, `.0` at least behind it.
fn plain(digits: &str, exponent: i32) -> String {
    let Ok(whole) = usize::try_from(exponent) else {
        return format!("0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1));
    };
    match digits.split_at_checked(whole + 1) {
        Some((whole, "")) => format!("{whole}.0"),
        Some((whole, fraction)) => format!("{whole}.{fraction}"),
        None => format!("{digits}{}.0", "0".repeat(whole + 1 - digits.len())),
    }
}

/// Digits with an exponent of at least two digits.
fn scientific(digits: &str, exponent: i32) -> String {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{point}{rest}e{sign}{:02}", exponent.unsigned_abs())
}

/// `repr(str)`: single quotes unless only they occur inside.
pub fn string_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => {
                // Writing to a String can't fail.
                let _ = match u32::from(c) {
                    code @ ..=0xff => write!(out, "\\x{code:02x}"),
                    code @ ..=0xffff => write!(out, "\\u{code:04x}"),
                    code => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
    out
}

/// `str.isprintable` for what occurs in practice: controls, separators, format characters, private
/// use and noncharacters are not.
fn is_printable(c: char) -> bool {
    let code = u32::from(c);
    let is_format = matches!(code,
        0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890 | 0x891 | 0x8e2 | 0x180e | 0x200b..=0x200f
        | 0x202a..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0x110bd | 0x110cd
        | 0x1_3430..=0x1_3438 | 0x1_bca0..=0x1_bca3 | 0x1_d173..=0x1_d17a | 0xe_0000..=0xe_0fff);
    let is_private = matches!(code, 0xe000..=0xf8ff | 0xf_0000..);
    let is_noncharacter = matches!(code, 0xfdd0..=0xfdef) || code & 0xfffe == 0xfffe;
    c == ' ' || !(c.is_control() || c.is_whitespace() || is_format || is_private || is_noncharacter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_python_prints_them() {
        let cases = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1e22, "1e+22"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
            (-0.0, "-0.0"),
            (123456.789, "123456.789"),
            (12345678901234567.0, "1.2345678901234568e+16"),
            (0.0, "0.0"),
            (f64::NEG_INFINITY, "-inf"),
            (100.5, "100.5"),
        ];
        for (value, expected) in cases {
            assert_eq!(float_repr(value), expected);
        }
    }

    #[test]
    fn twelve_digits_drop_zeros_and_carry() {
        let cases = [
            (0.1, "0.1"),
            (4.125, "4.125"),
            (1.0, "1"),
            (1e12, "1e+12"),
            (123456789012.6, "123456789013"),
            (999999999999.9, "1e+12"),
            (0.00012345678901234, "0.000123456789012"),
            (0.00001, "1e-05"),
            (0.0, "0"),
            (-2.5, "-2.5"),
            (f64::NAN, "nan"),
            (100.0, "100"),
        ];
        for (value, expected) in cases {
            assert_eq!(significant12(value), expected);
        }
    }

    #[test]
    fn ties_round_to_even() {
        // Both lie exactly between two neighbours of six decimals.
        assert_eq!(fixed6(0.0078125), "0.007812");
        assert_eq!(fixed6(0.0234375), "0.023438");
        assert_eq!(fixed6(f64::INFINITY), "inf");
    }

    #[test]
    fn strings_are_quoted_as_python_quotes_them() {
        assert_eq!(string_repr("x"), "'x'");
        assert_eq!(string_repr("it's"), "\"it's\"");
        assert_eq!(string_repr("it's \"so\""), "'it\\'s \"so\"'");
        assert_eq!(string_repr("a\n\x01é\u{a0}\u{200b}"), "'a\\n\\x01é\\xa0\\u200b'");
    }
}
