//! `int()` and `float()` of a JSON value, with Python's own errors.

use num_bigint::BigInt;
use num_traits::{FromPrimitive, ToPrimitive};

use super::{Exception, Raised, Value, parse_float, parse_int, string_repr};

/// `int(value)`: floats are cut towards zero, texts are read, booleans are 0 and 1.
///
/// # Errors
/// Python's: not a number, an infinite one, a value of another type.
pub fn to_int(value: &Value) -> Result<BigInt, Raised> {
    match value {
        Value::Bool(flag) => Ok(BigInt::from(u8::from(*flag))),
        Value::Int(int) => Ok(int.clone()),
        Value::Float(float) if float.is_nan() => Err(Raised::value("cannot convert float NaN to integer")),
        Value::Float(float) => BigInt::from_f64(float.trunc())
            .ok_or_else(|| Raised::new(Exception::OverflowError, "cannot convert float infinity to integer")),
        Value::String(text) => parse_int(text).ok_or_else(|| {
            Raised::value(format!("invalid literal for int() with base 10: {}", string_repr(text)))
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Raised::new(
            Exception::TypeError,
            format!(
                "int() argument must be a string, a bytes-like object or a real number, not '{}'",
                value.type_name()
            ),
        )),
    }
}

/// `float(value)`.
///
/// # Errors
/// Python's: not a number, an integer beyond the floats, a value of another type.
pub fn to_float(value: &Value) -> Result<f64, Raised> {
    match value {
        Value::Bool(flag) => Ok(f64::from(u8::from(*flag))),
        Value::Int(int) => int
            .to_f64()
            .filter(|float| float.is_finite())
            .ok_or_else(|| Raised::new(Exception::OverflowError, "int too large to convert to float")),
        Value::Float(float) => Ok(*float),
        Value::String(text) => parse_float(text).ok_or_else(|| {
            Raised::value(format!("could not convert string to float: {}", string_repr(text)))
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Raised::new(
            Exception::TypeError,
            format!("float() argument must be a string or a real number, not '{}'", value.type_name()),
        )),
    }
}
