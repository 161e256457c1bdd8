//! From stored bytes to matrices in memory.

use half::{bf16, f16};

use super::check::PayloadCheck;
use super::layout::Layout;
use super::matrix::Bitpacked;
use super::part::{Part, Parts};
use crate::tensor::{Dense, Dtype, Values};
use crate::{Error, ErrorKind, Result};

/// Reads the parts of the packed weight `name`; a part that the layout leaves out is empty.
///
/// # Errors
/// The first fault that [`PayloadCheck`] finds, in the order of [`Part::ALL`].
pub fn decode(name: &str, layout: &Layout, parts: &Parts<&[u8]>) -> Result<Bitpacked> {
    for (part, bytes) in parts.iter() {
        let mut check = PayloadCheck::new(format!("{name}.{}", part.suffix()), part, layout);
        check.push(bytes)?;
        check.finish()?;
    }
    Ok(Bitpacked {
        layout: *layout,
        sign: elements(parts[Part::Sign], u32::from_le_bytes),
        scale: elements(parts[Part::Scale], f16::from_le_bytes),
        rescue_rows: elements(parts[Part::RescueRows], u32::from_le_bytes),
        rescue_code: parts[Part::RescueCode].to_vec(),
        rescue_scale: elements(parts[Part::RescueScale], f16::from_le_bytes),
    })
}

/// Reads the unpacked weight `name`, `[rows, cols]`, stored as F16, BF16 or F32.
///
/// # Errors
/// Another data type, or bytes that do not make `rows * cols` elements.
pub fn decode_dense(name: &str, dtype: Dtype, [rows, cols]: [u64; 2], bytes: &[u8]) -> Result<Dense> {
    let values = decode_values(name, dtype, bytes)?;
    let wrong_length = || {
        Error::new(ErrorKind::WrongShape, "a weight has the wrong number of elements")
            .within(name)
            .expected_found(format!("{rows} * {cols}"), values.len())
    };
    if rows.checked_mul(cols) != Some(values.len() as u64) {
        return Err(wrong_length());
    }
    match (usize::try_from(rows), usize::try_from(cols)) {
        (Ok(rows), Ok(cols)) => Ok(Dense { rows, cols, values }),
        _ => Err(wrong_length()),
    }
}

/// Reads the elements of the tensor `name`, stored as F16, BF16 or F32.
///
/// # Errors
/// Another data type, or bytes that end within an element.
pub fn decode_values(name: &str, dtype: Dtype, bytes: &[u8]) -> Result<Values> {
    if !(bytes.len() as u64).is_multiple_of(dtype.bytes()) {
        return Err(Error::new(ErrorKind::Truncated, "a tensor ends within an element")
            .within(name)
            .at(bytes.len() as u64)
            .expected_found(format!("a multiple of {} bytes", dtype.bytes()), bytes.len()));
    }
    match dtype {
        Dtype::F32 => Ok(Values::F32(elements(bytes, f32::from_le_bytes))),
        Dtype::F16 => Ok(Values::F16(elements(bytes, f16::from_le_bytes))),
        Dtype::BF16 => Ok(Values::BF16(elements(bytes, bf16::from_le_bytes))),
        other => Err(Error::new(ErrorKind::WrongDtype, "a weight has a data type that is not read")
            .within(name)
            .expected_found("F16, BF16 or F32", other.name())),
    }
}

fn elements<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&element| read(element)).collect()
}
