//! The block formats of GGUF: a scale, then the codes of the columns that share it.
//!
//! Source: `block_q1_0`, `block_q4_0` and `block_q8_0` of ggml, as its Python package writes them.

use half::f16;

use super::layout::Layout;
use super::matrix::{Bitpacked, Matrix};
use crate::tensor::{Dense, Dtype, Values};
use crate::{Error, ErrorKind, Result};

/// Bytes of a block's scale.
const SCALE_BYTES: usize = 2;

/// Reads the weight `name`, `[rows, cols]`, stored as Q1_0, Q4_0 or Q8_0. Q1_0 becomes a packed matrix,
/// the others have no form of ours and become f32.
///
/// # Errors
/// Another data type, a length that is not `rows * cols`, rows that are not whole blocks, a scale that is
/// not finite.
pub fn decode_blocks(name: &str, dtype: Dtype, [rows, cols]: [u64; 2], bytes: &[u8]) -> Result<Matrix> {
    let block_bytes = dtype.bytes();
    let blocks = cols / dtype.block_elements().max(1);
    let wanted = rows.checked_mul(blocks).and_then(|blocks| blocks.checked_mul(block_bytes));
    if wanted != Some(bytes.len() as u64) || !cols.is_multiple_of(dtype.block_elements()) {
        return Err(Error::new(ErrorKind::WrongShape, "a weight has the wrong number of blocks")
            .within(name)
            .expected_found(format!("{rows} rows of {cols} columns"), format!("{} bytes", bytes.len())));
    }
    // Both are at most the slice's length.
    let (rows, cols) = (rows as usize, cols as usize);
    let blocks = || bytes.chunks_exact(block_bytes as usize);
    for (i, block) in blocks().enumerate() {
        if !scale_of(block).is_finite() {
            return Err(Error::new(ErrorKind::BadValue, "a scale is not a finite number")
                .within(name)
                .at(i as u64 * block_bytes)
                .expected_found("a finite f16", scale_of(block)));
        }
    }
    match dtype {
        Dtype::Q1_0 => Ok(Matrix::Bitpacked(Bitpacked {
            layout: Layout::new(rows as u64, cols as u64, 1, 0, dtype.block_elements())
                .map_err(|error| error.within(name))?,
            sign: blocks().flat_map(sign_words).collect(),
            scale: blocks().map(scale_of).collect(),
            rescue_rows: Vec::new(),
            rescue_code: Vec::new(),
            rescue_scale: Vec::new(),
        })),
        Dtype::Q4_0 => {
            let values = blocks().flat_map(q4_values).collect();
            Ok(Matrix::Dense(Dense { rows, cols, values: Values::F32(values) }))
        }
        Dtype::Q8_0 => {
            let values = blocks().flat_map(q8_values).collect();
            Ok(Matrix::Dense(Dense { rows, cols, values: Values::F32(values) }))
        }
        other => Err(Error::new(ErrorKind::WrongDtype, "a weight has a data type that is not read")
            .within(name)
            .expected_found("Q1_0, Q4_0 or Q8_0", other.name())),
    }
}

fn scale_of(block: &[u8]) -> f16 {
    f16::from_le_bytes([block[0], block[1]])
}

/// The sign bits: column c is bit `c % 32` of word `c / 32`, as in a packed matrix.
fn sign_words(block: &[u8]) -> impl Iterator<Item = u32> {
    block[SCALE_BYTES..].as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word))
}

/// Byte j holds column j in its low half and column j + 16 in its high half, each 8 too high.
fn q4_values(block: &[u8]) -> impl Iterator<Item = f32> {
    let scale = scale_of(block).to_f32();
    let codes = &block[SCALE_BYTES..];
    let value = move |code: u8| (f32::from(code) - 8.0) * scale;
    let low = codes.iter().map(move |byte| value(byte & 0xf));
    low.chain(codes.iter().map(move |byte| value(byte >> 4)))
}

fn q8_values(block: &[u8]) -> impl Iterator<Item = f32> {
    let scale = scale_of(block).to_f32();
    block[SCALE_BYTES..].iter().map(move |code| f32::from(*code as i8) * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One block of each format with the scale 0.5, and its values by hand.
    #[test]
    fn blocks_mean_what_ggml_says() {
        let block = |codes: &[u8]| [&[0x00, 0x38], codes].concat();
        let mut signs = [0; 16];
        (signs[0], signs[15]) = (0b0000_0101, 0b1000_0000);
        let matrix = decode_blocks("w", Dtype::Q1_0, [1, 128], &block(&signs)).unwrap();
        let values = matrix.to_f32();
        let plus: Vec<usize> = (0..128).filter(|&c| values[c] == 0.5).collect();
        assert_eq!(plus, [0, 2, 127]);
        assert!(values.iter().all(|value| value.abs() == 0.5));

        let mut codes = [0x88; 16];
        (codes[0], codes[15]) = (0x1f, 0x08);
        let values = decode_blocks("w", Dtype::Q4_0, [1, 32], &block(&codes)).unwrap().to_f32();
        assert_eq!((values[0], values[16], values[15], values[31]), (3.5, -3.5, 0.0, -4.0));
        assert_eq!(values.iter().filter(|value| **value == 0.0).count(), 29);

        let mut codes = [0; 32];
        (codes[1], codes[31]) = (0x80, 0x7f);
        let values = decode_blocks("w", Dtype::Q8_0, [1, 32], &block(&codes)).unwrap().to_f32();
        assert_eq!((values[0], values[1], values[31]), (0.0, -64.0, 63.5));
    }

    #[test]
    fn faults_are_named() {
        let good = [&[0x00, 0x38][..], &[0; 32]].concat();
        let kind = |dtype, shape, bytes: &[u8]| decode_blocks("w", dtype, shape, bytes).unwrap_err().kind;
        assert_eq!(kind(Dtype::Q8_0, [1, 32], &good[1..]), ErrorKind::WrongShape);
        assert_eq!(kind(Dtype::Q8_0, [2, 16], &good), ErrorKind::WrongShape);
        assert_eq!(kind(Dtype::Q8_0, [u64::MAX, 32], &good), ErrorKind::WrongShape);
        assert_eq!(kind(Dtype::F16, [1, 17], &good), ErrorKind::WrongDtype);
        let infinite = [&[0x00, 0x7c][..], &[0; 32]].concat();
        assert_eq!(kind(Dtype::Q8_0, [1, 32], &infinite), ErrorKind::BadValue);
    }
}
