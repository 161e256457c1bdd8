//! Types of two or three values: each is a scale times -1, 0 or 1, and stays packed.

use half::f16;

use super::Stored;
use crate::Result;
use crate::format::bits::{self, WORD_COLUMNS};
use crate::format::layout::Layout;
use crate::format::matrix::{Bitpacked, Matrix};

/// Most values of a block.
const MOST_VALUES: usize = 256;
/// A code that stands for 2, which no writer of ggml's uses.
const TWO: u8 = 3;

/// Writes the codes of a block, one more than the value that each stands for, and gives the scale.
pub(super) type Read = fn(block: &[u8], codes: &mut [u8]) -> f16;

fn scale_at(block: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([block[at], block[at + 1]])
}

/// Scale, then a sign of each column, in the order of a packed matrix.
pub(super) fn binary(stored: &Stored, [rows, cols]: [u64; 2]) -> Result<Matrix> {
    let scales = || stored.blocks().map(|block| scale_at(block, 0));
    scales().enumerate().try_for_each(|(i, scale)| stored.check(i, &[scale.to_f32()]))?;
    let words = |block| <[u8]>::as_chunks::<4>(block).0.iter().map(|word| u32::from_le_bytes(*word));
    Ok(Matrix::Bitpacked(Bitpacked {
        sign: stored.blocks().flat_map(|block| words(&block[2..])).collect(),
        scale: scales().collect(),
        ..Bitpacked::zeroed(layout(stored, [rows, cols], 1)?)
    }))
}

/// The packed matrix: half the scale twice, with signs that agree or cancel. Nothing where a code stands for 2 or half a
/// scale is no f16.
pub(super) fn ternary(stored: &Stored, [rows, cols]: [u64; 2], read: Read) -> Result<Option<Matrix>> {
    let mut packed = Bitpacked::zeroed(layout(stored, [rows, cols], 2)?);
    let mut codes = [0; MOST_VALUES];
    let codes = &mut codes[..stored.block.values() as usize];
    let words = codes.len() / WORD_COLUMNS;
    let (scales, signs) = (packed.scale.len() / 2, packed.sign.len() / 2);
    let (first_scales, second_scales) = packed.scale.split_at_mut(scales);
    let (first_signs, second_signs) = packed.sign.split_at_mut(signs);
    for (i, block) in stored.blocks().enumerate() {
        let scale = read(block, codes);
        stored.check(i, &[scale.to_f32()])?;
        let half = f16::from_f32(0.5 * scale.to_f32());
        if half.to_f32() + half.to_f32() != scale.to_f32() || codes.contains(&TWO) {
            return Ok(None);
        }
        (first_scales[i], second_scales[i]) = (half, half);
        for (j, codes) in codes.chunks_exact(WORD_COLUMNS).enumerate() {
            first_signs[i * words + j] = bits::sign_word(codes.iter().map(|code| *code >= 1));
            second_signs[i * words + j] = bits::sign_word(codes.iter().map(|code| *code == 2));
        }
    }
    Ok(Some(Matrix::Bitpacked(packed)))
}

fn layout(stored: &Stored, [rows, cols]: [u64; 2], bases: u64) -> Result<Layout> {
    let layout = Layout::new(rows, cols, bases, 0, stored.block.values());
    layout.map_err(|error| error.within(stored.name))
}

/// Scale, then codes of two bits, four in a byte.
pub(super) fn q2_0(block: &[u8], codes: &mut [u8]) -> f16 {
    for (column, code) in codes.iter_mut().enumerate() {
        *code = block[2 + column / 4] >> (column % 4 * 2) & 3;
    }
    scale_at(block, 0)
}

/// 64 bytes of codes of two bits, then the scale. 32 bytes hold 128 values, the first 32 in the lowest bits.
pub(super) fn tq2_0(block: &[u8], codes: &mut [u8]) -> f16 {
    for (at, code) in codes.iter_mut().enumerate() {
        *code = block[at / 128 * 32 + at % 32] >> (at % 128 / 32 * 2) & 3;
    }
    scale_at(block, 64)
}

/// Bytes of five digits of base 3 each, 32 and 16 together, then four bytes of four, then the scale. A byte holds its
/// digits as a fraction of 256; the first digits of such a run come first.
pub(super) fn tq1_0(block: &[u8], codes: &mut [u8]) -> f16 {
    let mut codes = codes.iter_mut();
    for (run, digits) in [(&block[..32], 5), (&block[32..48], 5), (&block[48..52], 4)] {
        let mut power = 1_u8;
        for _ in 0..digits {
            for (byte, code) in run.iter().zip(&mut codes) {
                *code = ((u16::from(byte.wrapping_mul(power)) * 3) >> 8) as u8;
            }
            power = power.wrapping_mul(3);
        }
    }
    scale_at(block, 52)
}

/// The values of a block with a code of 3.
fn values(block: &[u8], values: &mut [f32], read: Read) {
    let mut codes = [0; MOST_VALUES];
    let scale = read(block, &mut codes[..values.len()]).to_f32();
    for (value, code) in values.iter_mut().zip(codes) {
        *value = scale * (f32::from(code) - 1.0);
    }
}

pub(super) fn q2_0_values(block: &[u8], out: &mut [f32]) {
    values(block, out, q2_0);
}

pub(super) fn tq1_0_values(block: &[u8], out: &mut [f32]) {
    values(block, out, tq1_0);
}

pub(super) fn tq2_0_values(block: &[u8], out: &mut [f32]) {
    values(block, out, tq2_0);
}
