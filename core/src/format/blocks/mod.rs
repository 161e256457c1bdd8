//! The block types of GGUF: scales, then the codes of the values that share them.
//!
//! Source: ggml's own Python package, whose values these are to the bit (the suite `format` compares them), and for
//! Q1_0, Q2_0, Q8_1 and Q8_K ggml's description of the blocks.

mod grids;
mod indexed;
mod k;
mod levels;
mod signs;
mod simple;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::matrix::{Blocks, Matrix};
use crate::tensor::{BlockType, Dense, Values};
use crate::{Error, ErrorKind, Result};

/// Writes the values of one block.
type Decode = fn(block: &[u8], values: &mut [f32]);

/// How a type becomes a matrix.
enum Form {
    /// One sign each: packed.
    Signs,
    /// Codes of 0, 1 and 2, which stand for -1, 0 and 1, and their scale: packed as two bases of half the scale. Blocks
    /// that hold a code of 3 are not.
    Ternary(signs::Read, Decode),
    /// Values with so few digits that f16 mostly holds them.
    Short(Decode),
    /// Values that take f32.
    Long(Decode),
    /// Known by its size alone.
    Unread,
}

/// How each type is read.
fn form(block: BlockType) -> Form {
    match block {
        BlockType::Q1_0 => Form::Signs,
        BlockType::Q2_0 | BlockType::Q2_0Wide => Form::Ternary(signs::q2_0, signs::q2_0_values),
        BlockType::Tq1_0 => Form::Ternary(signs::tq1_0, signs::tq1_0_values),
        BlockType::Tq2_0 => Form::Ternary(signs::tq2_0, signs::tq2_0_values),
        BlockType::Mxfp4 => Form::Short(levels::mxfp4),
        BlockType::Nvfp4 => Form::Short(levels::nvfp4),
        BlockType::Q4_0 => Form::Long(simple::q4_0),
        BlockType::Q4_1 => Form::Long(simple::q4_1),
        BlockType::Q5_0 => Form::Long(simple::q5_0),
        BlockType::Q5_1 => Form::Long(simple::q5_1),
        BlockType::Q8_0 => Form::Long(simple::q8_0),
        BlockType::Q8_1 => Form::Long(simple::q8_1),
        BlockType::Q8K => Form::Long(simple::q8_k),
        BlockType::Q2K => Form::Long(k::q2_k),
        BlockType::Q3K => Form::Long(k::q3_k),
        BlockType::Q4K => Form::Long(k::q4_k),
        BlockType::Q5K => Form::Long(k::q5_k),
        BlockType::Q6K => Form::Long(k::q6_k),
        BlockType::Iq1S => Form::Long(indexed::iq1_s),
        BlockType::Iq1M => Form::Long(indexed::iq1_m),
        BlockType::Iq2Xxs => Form::Long(indexed::iq2_xxs),
        BlockType::Iq2Xs => Form::Long(indexed::iq2_xs),
        BlockType::Iq2S => Form::Long(indexed::iq2_s),
        BlockType::Iq3Xxs => Form::Long(indexed::iq3_xxs),
        BlockType::Iq3S => Form::Long(indexed::iq3_s),
        BlockType::Iq4Nl => Form::Long(levels::iq4_nl),
        BlockType::Iq4Xs => Form::Long(levels::iq4_xs),
        BlockType::Pq2_0 | BlockType::Ptq1_0 => Form::Unread,
    }
}

/// Reads the weight `name`, `[rows, cols]`, stored in blocks. Signs stay packed, and so do three-valued blocks, as two
/// bases; the others have no form of ours and become f16 where it holds every value, else f32.
///
/// # Errors
/// A type that is known by its size alone, a length that is not `rows * cols`, rows that are not whole blocks, a value
/// that is not finite.
pub fn decode_blocks(name: &str, block: BlockType, shape: [u64; 2], bytes: &[u8]) -> Result<Matrix> {
    decode_by(&Stored { name, block, bytes }, shape, |stored, decode| stored.wide(decode))
}

/// The same where no more of a value is of use than the nearest f16: what is not packed becomes f16, unless a value is beyond
/// its range.
///
/// # Errors
/// Those of [`decode_blocks`].
pub fn round_blocks(name: &str, block: BlockType, shape: [u64; 2], bytes: &[u8]) -> Result<Matrix> {
    decode_by(&Stored { name, block, bytes }, shape, |stored, decode| stored.rounded(decode))
}

/// A weight as it is stored, if its type is one that devices read as it is. None for other types, and for faults, which
/// [`decode_blocks`] names.
pub fn keep_blocks(block: BlockType, [rows, cols]: [u64; 2], bytes: &[u8]) -> Option<Matrix> {
    let (decode, scales) = kept(block)?;
    let mut blocks = bytes.chunks_exact(block.bytes() as usize);
    let is_finite = |block: &[u8]| scales.iter().all(|at| half(&block[*at..]).is_finite());
    let is_sound = is_whole(block, [rows, cols], bytes) && blocks.all(is_finite);
    // Both are at most the slice's length.
    let (rows, cols) = (rows as usize, cols as usize);
    is_sound.then(|| Matrix::Blocks(Blocks { block, rows, cols, bytes: bytes.to_vec(), decode }))
}

/// How a block decodes, and where its scales stand: f16, which small integers multiply.
type Kept = (Decode, &'static [usize]);

/// What there is to know of a type that devices read as it is.
fn kept(block: BlockType) -> Option<Kept> {
    match block {
        BlockType::Q4K => Some((k::q4_k, &[0, 2])),
        BlockType::Q5K => Some((k::q5_k, &[0, 2])),
        BlockType::Q6K => Some((k::q6_k, &[208])),
        _ => None,
    }
}

/// Whether [`keep_blocks`] takes this type.
pub fn is_kept(block: BlockType) -> bool {
    kept(block).is_some()
}

/// Whether these are rows of whole blocks.
fn is_whole(block: BlockType, [rows, cols]: [u64; 2], bytes: &[u8]) -> bool {
    let blocks = cols / block.values();
    let wanted = rows.checked_mul(blocks).and_then(|blocks| blocks.checked_mul(block.bytes()));
    wanted == Some(bytes.len() as u64) && cols.is_multiple_of(block.values())
}

/// Reads a weight; `long` reads values that take f32.
fn decode_by(
    stored: &Stored<'_>,
    [rows, cols]: [u64; 2],
    long: fn(&Stored<'_>, Decode) -> Result<Values>,
) -> Result<Matrix> {
    let &Stored { name, block, bytes } = stored;
    if !is_whole(block, [rows, cols], bytes) {
        return Err(Error::new(ErrorKind::WrongShape, "a weight has the wrong number of blocks")
            .within(name)
            .expected_found(format!("{rows} rows of {cols} columns"), format!("{} bytes", bytes.len())));
    }
    let values = match form(block) {
        Form::Signs => return signs::binary(stored, [rows, cols]),
        Form::Ternary(read, decode) => match signs::ternary(stored, [rows, cols], read)? {
            Some(matrix) => return Ok(matrix),
            None => stored.short(decode)?,
        },
        Form::Short(decode) => stored.short(decode)?,
        Form::Long(decode) => long(stored, decode)?,
        Form::Unread => {
            return Err(Error::new(ErrorKind::Unsupported, "a weight has a type that is not read")
                .within(name)
                .expected_found("a type of ggml's own", block.name()));
        }
    };
    // Both are at most the slice's length.
    Ok(Matrix::Dense(Dense { rows: rows as usize, cols: cols as usize, values }))
}

/// The blocks of a weight.
struct Stored<'a> {
    name: &'a str,
    block: BlockType,
    bytes: &'a [u8],
}

impl Stored<'_> {
    fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.block.bytes() as usize)
    }

    fn len(&self) -> usize {
        self.bytes.len() / self.block.bytes() as usize * self.block.values() as usize
    }

    fn values(&self, decode: Decode) -> Result<Vec<f32>> {
        let mut values = vec![0.0; self.len()];
        let blocks = self.blocks().zip(values.chunks_exact_mut(self.block.values() as usize));
        for (i, (block, values)) in blocks.enumerate() {
            decode(block, values);
            self.check(i, values)?;
        }
        Ok(values)
    }

    fn wide(&self, decode: Decode) -> Result<Values> {
        self.values(decode).map(Values::F32)
    }

    /// The nearest f16 of each value; f32 where one is beyond their range.
    fn rounded(&self, decode: Decode) -> Result<Values> {
        let mut halves = vec![f16::ZERO; self.len()];
        let mut wide = vec![0.0; self.block.values() as usize];
        for (i, (block, halves)) in self.blocks().zip(halves.chunks_exact_mut(wide.len())).enumerate() {
            decode(block, &mut wide);
            self.check(i, &wide)?;
            if wide.iter().fold(0.0_f32, |most, value| most.max(value.abs())) > f16::MAX.to_f32() {
                return self.wide(decode);
            }
            halves.convert_from_f32_slice(&wide);
        }
        Ok(Values::F16(halves))
    }

    /// The values as f16; as f32 where one of them is none.
    fn short(&self, decode: Decode) -> Result<Values> {
        let mut values = Vec::with_capacity(self.len());
        let mut wide = vec![0.0; self.block.values() as usize];
        for (i, block) in self.blocks().enumerate() {
            decode(block, &mut wide);
            self.check(i, &wide)?;
            values.extend(wide.iter().map(|value| f16::from_f32(*value)));
            let start = values.len() - wide.len();
            if values[start..].iter().zip(&wide).any(|(short, wide)| short.to_f32() != *wide) {
                return self.wide(decode);
            }
        }
        Ok(Values::F16(values))
    }

    /// What block `i` holds is finite.
    fn check(&self, i: usize, values: &[f32]) -> Result<()> {
        // Without an early end, which would keep them from being looked at together.
        if values.iter().fold(true, |all, value| all & value.is_finite()) {
            return Ok(());
        }
        match values.iter().find(|value| !value.is_finite()) {
            None => Ok(()),
            Some(found) => Err(Error::new(ErrorKind::BadValue, "a scale is not a finite number")
                .within(self.name)
                .at(i as u64 * self.block.bytes())
                .expected_found("finite values of the block", found)),
        }
    }
}

/// The f16 at the beginning of these bytes.
fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

fn u16_at(bytes: &[u8], index: usize) -> u16 {
    u16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]])
}

fn u32_at(bytes: &[u8], index: usize) -> u32 {
    u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[4 * index + i]))
}

/// The half of a byte at this place, the low one first.
fn nibble(bytes: &[u8], index: usize) -> u8 {
    bytes[index / 2] >> (4 * (index % 2)) & 0xf
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One block of each form with the scale 0.5, and its values by hand.
    #[test]
    fn blocks_mean_what_ggml_says() {
        let block = |codes: &[u8]| [&[0x00, 0x38], codes].concat();
        let mut signs = [0; 16];
        (signs[0], signs[15]) = (0b0000_0101, 0b1000_0000);
        let matrix = decode_blocks("w", BlockType::Q1_0, [1, 128], &block(&signs)).unwrap();
        let values = matrix.to_f32();
        let plus: Vec<usize> = (0..128).filter(|&c| values[c] == 0.5).collect();
        assert_eq!(plus, [0, 2, 127]);
        assert!(values.iter().all(|value| value.abs() == 0.5));

        let mut codes = [0x88; 16];
        (codes[0], codes[15]) = (0x1f, 0x08);
        let values = decode_blocks("w", BlockType::Q4_0, [1, 32], &block(&codes)).unwrap().to_f32();
        assert_eq!((values[0], values[16], values[15], values[31]), (3.5, -3.5, 0.0, -4.0));
        assert_eq!(values.iter().filter(|value| **value == 0.0).count(), 29);

        let mut codes = [0; 32];
        (codes[1], codes[31]) = (0x80, 0x7f);
        let values = decode_blocks("w", BlockType::Q8_0, [1, 32], &block(&codes)).unwrap().to_f32();
        assert_eq!((values[0], values[1], values[31]), (0.0, -64.0, 63.5));
    }

    /// Codes of 0, 1, 2 are packed as two bases; a code of 3, which means 2, leaves them dense, and so does a scale
    /// whose half is no f16.
    #[test]
    fn three_values_stay_packed() {
        for (block, columns) in [(BlockType::Q2_0, 64), (BlockType::Q2_0Wide, 128)] {
            let decode = |scale: u16, first: u8| {
                let mut bytes = [&scale.to_le_bytes()[..], &vec![0b0001_1000; columns / 4]].concat();
                bytes[2] = first;
                decode_blocks("w", block, [1, columns as u64], &bytes).unwrap()
            };
            let packed = decode(0x3800, 0b0001_1000);
            assert!(matches!(&packed, Matrix::Bitpacked(packed) if packed.bases() == 2));
            assert_eq!(packed.to_f32()[..8], [-0.5, 0.5, 0.0, -0.5, -0.5, 0.5, 0.0, -0.5]);
            let dense = decode(0x3800, 0b0001_1011);
            assert!(matches!(&dense, Matrix::Dense(Dense { values: Values::F16(_), .. })));
            assert_eq!(dense.to_f32()[..4], [1.0, 0.5, 0.0, -0.5]);
            let tiny = decode(0x0001, 0b0001_1000);
            assert!(matches!(&tiny, Matrix::Dense(_)));
            assert_eq!(tiny.to_f32()[1], f16::from_bits(1).to_f32());
        }
    }

    /// Types that devices read as they are keep their bytes, unless a scale is not finite; what is read of them in pieces
    /// is what they decode to, and rounding gives the nearest f16.
    #[test]
    fn kept_and_rounded_blocks_hold_the_decoded_values() {
        for (block, scales) in
            [(BlockType::Q4K, &[0, 2][..]), (BlockType::Q5K, &[0, 2]), (BlockType::Q6K, &[208])]
        {
            let bytes = block.bytes() as usize;
            let mut stored: Vec<u8> = (0..4 * bytes).map(|at| (at * 97 % 251) as u8).collect();
            stored
                .chunks_exact_mut(bytes)
                .for_each(|block| scales.iter().for_each(|at| block[at + 1] = 0x12));
            let wide = decode_blocks("w", block, [2, 512], &stored).unwrap().to_f32();
            let Some(Matrix::Blocks(kept)) = keep_blocks(block, [2, 512], &stored) else {
                panic!("{block:?}")
            };
            assert_eq!(Matrix::Blocks(kept.clone()).to_f32(), wide);
            let mut piece = [0.0; 300];
            kept.read(1, 200, &mut piece);
            assert_eq!(piece, wide[712..1012]);
            let rounded = round_blocks("w", block, [2, 512], &stored).unwrap();
            assert!(matches!(&rounded, Matrix::Dense(Dense { values: Values::F16(_), .. })));
            let nearest: Vec<f32> = wide.iter().map(|value| f16::from_f32(*value).to_f32()).collect();
            assert_eq!(rounded.to_f32(), nearest);
            assert_ne!(nearest, wide);

            assert!(keep_blocks(block, [2, 512], &stored[1..]).is_none());
            for at in scales {
                let mut infinite = stored.clone();
                infinite[3 * bytes + at + 1] = 0x7c;
                infinite[3 * bytes + at] = 0;
                assert!(keep_blocks(block, [2, 512], &infinite).is_none());
            }
            stored.chunks_exact_mut(bytes).for_each(|block| block[scales[0] + 1] = 0x7b);
            let large = round_blocks("w", block, [2, 512], &stored).unwrap();
            assert!(matches!(large, Matrix::Dense(Dense { values: Values::F32(_), .. })));
        }
        assert!(keep_blocks(BlockType::Q8_0, [1, 32], &[0; 34]).is_none());
    }

    #[test]
    fn faults_are_named() {
        let good = [&[0x00, 0x38][..], &[1; 32]].concat();
        let fault = |block, shape, bytes: &[u8]| decode_blocks("w", block, shape, bytes).unwrap_err();
        assert_eq!(fault(BlockType::Q8_0, [1, 32], &good[1..]).kind, ErrorKind::WrongShape);
        assert_eq!(fault(BlockType::Q8_0, [2, 16], &good).kind, ErrorKind::WrongShape);
        assert_eq!(fault(BlockType::Q8_0, [u64::MAX, 32], &good).kind, ErrorKind::WrongShape);
        let unread = fault(BlockType::Ptq1_0, [1, 128], &good[..28]);
        assert_eq!((unread.kind, unread.found.as_str()), (ErrorKind::Unsupported, "PTQ1_0"));
        let infinite = [&good[..], &[0x00, 0x7c], &[1; 32]].concat();
        let error = fault(BlockType::Q8_0, [1, 64], &infinite);
        assert_eq!((error.kind, error.offset), (ErrorKind::BadValue, Some(34)));
        for (block, columns, scale) in
            [(BlockType::Q1_0, 128, 0), (BlockType::Q2_0, 64, 0), (BlockType::Tq2_0, 256, 64)]
        {
            let mut bytes = vec![0; block.bytes() as usize];
            bytes[scale + 1] = 0x7e;
            assert_eq!(fault(block, [1, columns], &bytes).kind, ErrorKind::BadValue, "{block:?}");
        }
    }
}
