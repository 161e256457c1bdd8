//! From the tensors of a coded matrix to its values.

use half::{bf16, f16};

use super::codes::Codes;
use super::numbers::{e2m1, e4m3, e8m0};
use super::{Coded, Level, Piece, Scale, Scaling, Share, Words, Zero};
use crate::format::{Bitpacked, Layout, Matrix, bits};
use crate::tensor::{Dense, Dtype, Values};
use crate::{Error, ErrorKind, Result, json};

/// Values that are decoded at a time.
const BLOCK_VALUES: usize = 1 << 18;

/// A tensor beside a module.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a> {
    /// What it holds.
    pub piece: Piece,
    /// Its element type.
    pub dtype: Dtype,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Decodes a coded matrix, some rows at a time.
#[derive(Debug)]
pub struct Decoder<'a> {
    coded: &'a Coded,
    codes: Codes<'a>,
    scales: Vec<f32>,
    zeros: Vec<f32>,
    /// The group of each input, where a tensor says.
    group_of: Option<Vec<usize>>,
    /// The level of each code.
    levels: Vec<f32>,
}

impl<'a> Decoder<'a> {
    /// Of the weight `name`, whose tensors' lengths are those that `coded` was derived from.
    ///
    /// # Errors
    /// A scale, a zero point or a level that is not finite, a group that is not there, settings that contradict the shape.
    pub fn new(name: &str, coded: &'a Coded, tensors: &[Bytes<'a>]) -> Result<Self> {
        let find = |piece| tensors.iter().find(|tensor| tensor.piece == piece).copied();
        let packing = coded.packing();
        let absent =
            || Error::new(ErrorKind::Missing, "a tensor beside a packed module is missing").within(name);
        let (stored, scales) = find(Piece::Codes).zip(find(Piece::Scales)).ok_or_else(absent)?;
        let [rows, cols] = [coded.rows() as usize, coded.cols() as usize];
        let bits = coded.bits() as u32;
        let sides = match packing.share {
            Share::Neighbours(group) if packing.words.run == super::Run::Blocks => {
                let group = group as usize;
                [(rows * cols).div_ceil(group.max(1)), group]
            }
            Share::Neighbours(_) => [1, rows * cols],
            _ => coded.sides(packing).map(|side| side as usize),
        };
        let word = stored.dtype.bytes() as usize;
        // Words of any type are bytes in order where nothing but their length matters.
        let word = if packing.share == Share::Neighbours(0) { 1 } else { word };
        let codes = Codes::new(&packing.words, stored.bytes, word, bits, sides);
        let state = find(Piece::State)
            .map(|state| State::parse(state.bytes))
            .transpose()
            .map_err(|e| e.within(name))?;
        let state = state.unwrap_or_default();
        if state.shape.as_ref().is_some_and(|shape| shape[..] != [coded.rows(), coded.cols()]) {
            return Err(Error::new(ErrorKind::WrongShape, "a matrix's settings say another shape")
                .within(name)
                .expected_found(
                    format!("[{rows}, {cols}]"),
                    format!("{:?}", state.shape.unwrap_or_default()),
                ));
        }
        let levels = match (packing.level, find(Piece::Table)) {
            (Level::Table, Some(table)) => floats(table)?,
            (Level::Table, None) => return Err(absent()),
            (level, _) => (0..1_u32 << bits).map(|code| level_of(level, code, bits)).collect(),
        };
        if levels.len() != 1 << bits {
            return Err(Error::new(ErrorKind::WrongShape, "a table has the wrong number of levels")
                .within(name)
                .expected_found(1 << bits, levels.len()));
        }
        let scales = match packing.scale {
            Scale::Float => floats(scales)?,
            Scale::E8m0 => scales.bytes.iter().map(|code| e8m0(*code)).collect(),
            Scale::E4m3 => scales.bytes.iter().map(|code| e4m3(*code)).collect(),
            Scale::Nested => {
                let (table, outer) =
                    find(Piece::OuterTable).zip(find(Piece::OuterScales)).ok_or_else(absent)?;
                nested(scales.bytes, &floats(table)?, &floats(outer)?, &state).ok_or_else(absent)?
            }
        };
        let zeros = match (packing.zero, find(Piece::Zeros)) {
            (Zero::None, _) => Vec::new(),
            (Zero::Packed { run, plus }, Some(zeros)) => {
                let groups = scales.len() / rows.max(1);
                let words = Words { run, ..packing.words };
                let by_group = packing.words.transposed;
                let sides = if by_group { [groups, rows] } else { [rows, groups] };
                let codes = Codes::new(&words, zeros.bytes, zeros.dtype.bytes() as usize, bits, sides);
                let level = |at: usize| levels[usize::from(codes.at(at / sides[1], at % sides[1]))];
                (0..scales.len()).map(|at| level(at) + plus as f32).collect()
            }
            (_, Some(zeros)) => floats(zeros)?,
            (_, None) => return Err(absent()),
        };
        let fault = |what: &str| Error::new(ErrorKind::BadValue, what).within(name);
        if let Some(at) = scales.iter().chain(&zeros).position(|value| !value.is_finite()) {
            return Err(fault("a scale or zero point is not a finite number")
                .expected_found("finite numbers", format!("another at index {}", at % scales.len().max(1))));
        }
        let groups = scales.len() / rows.max(1);
        let group_of = match find(Piece::GroupOfInput) {
            None => None,
            Some(numbers) => {
                let numbers = numbers
                    .bytes
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|number| u32::from_le_bytes(*number) as usize);
                let numbers: Vec<usize> = numbers.collect();
                if let Some(number) = numbers.iter().find(|number| **number >= groups) {
                    return Err(fault("an input's group is not there")
                        .expected_found(format!("0 to {}", groups.saturating_sub(1)), number));
                }
                Some(numbers)
            }
        };
        Ok(Self { coded, codes, scales, zeros, group_of, levels })
    }

    /// Writes the values of the rows from `first` on, as many as fit `out`.
    pub fn rows(&self, first: usize, out: &mut [f32]) {
        let cols = self.coded.cols() as usize;
        let rows = out.len() / cols.max(1);
        let mut unpacked = Vec::new();
        let packing = self.coded.packing();
        if matches!(packing.share, Share::Neighbours(_)) {
            let length = self.codes.length;
            unpacked.extend(
                (first * cols..(first + rows) * cols).map(|at| self.codes.at(at / length, at % length)),
            );
        } else {
            self.codes.rows(first, rows, cols, packing.words.transposed, &mut unpacked);
        }
        for (row, (out, codes)) in
            out.chunks_exact_mut(cols.max(1)).zip(unpacked.chunks_exact(cols.max(1))).enumerate()
        {
            self.row(first + row, codes, out);
        }
    }

    /// The values of one row, one run of columns with a common scale after the other.
    fn row(&self, row: usize, codes: &[u8], out: &mut [f32]) {
        let mut start = 0;
        while start < out.len() {
            let (index, end) = self.run(row, start, out.len());
            let (scale, zero) = (self.scales[index], self.zeros.get(index).copied().unwrap_or(0.0));
            for (out, code) in out[start..end].iter_mut().zip(&codes[start..end]) {
                *out = self.value(self.levels[usize::from(*code)], scale, zero);
            }
            start = end;
        }
    }

    /// The index of the scale of a place, and the column that its run ends at.
    fn run(&self, row: usize, col: usize, cols: usize) -> (usize, usize) {
        let packing = self.coded.packing();
        let group = self.coded.group() as usize;
        match packing.share {
            _ if self.scales.len() == 1 => (0, cols),
            Share::Tiles(_) => (row / group * cols.div_ceil(group) + col / group, next(col, group, cols)),
            Share::Neighbours(_) => {
                let at = row * cols + col;
                (at / group, cols.min(col + group - at % group))
            }
            Share::Inputs(_) => {
                let [rows, groups] =
                    [self.coded.rows() as usize, self.scales.len() / self.coded.rows() as usize];
                let (of, end) = match &self.group_of {
                    Some(numbers) => (numbers[col], col + 1),
                    None => (col / group, next(col, group, cols)),
                };
                (if packing.words.transposed { of * rows + row } else { row * groups + of }, end)
            }
        }
    }

    fn value(&self, level: f32, scale: f32, zero: f32) -> f32 {
        let packing = self.coded.packing();
        match (packing.scaling, packing.zero) {
            (Scaling::Times, Zero::None) => level * scale,
            (Scaling::Times, Zero::Bias) => level * scale + zero,
            (Scaling::Times, _) => (level - zero) * scale,
            (Scaling::Over, _) => (level - zero) / scale,
            (Scaling::TimesOver127, _) => (level - zero) * scale / 127.0,
        }
    }
}

/// The column behind `col` at which the next group begins.
fn next(col: usize, group: usize, cols: usize) -> usize {
    ((col / group + 1) * group).min(cols)
}

fn level_of(level: Level, code: u32, bits: u32) -> f32 {
    match level {
        Level::Less(offset) => code as f32 - offset as f32,
        Level::LessHalf => code as f32 - (1_u32 << (bits - 1)) as f32,
        Level::Signed => (((code << (32 - bits)) as i32) >> (32 - bits)) as f32,
        Level::E2m1 => e2m1(code as u8),
        Level::E4m3 => e4m3(code as u8),
        Level::Table => 0.0,
    }
}

/// A tensor's elements as f32.
fn floats(tensor: Bytes) -> Result<Vec<f32>> {
    let bytes = tensor.bytes;
    Ok(match tensor.dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|element| f32::from_le_bytes(*element)).collect(),
        Dtype::F16 => {
            bytes.as_chunks().0.iter().map(|element| f16::from_le_bytes(*element).to_f32()).collect()
        }
        Dtype::BF16 => {
            bytes.as_chunks().0.iter().map(|element| bf16::from_le_bytes(*element).to_f32()).collect()
        }
        Dtype::I8 => bytes.iter().map(|element| f32::from(*element as i8)).collect(),
        Dtype::U8 => bytes.iter().map(|element| f32::from(*element)).collect(),
        other => {
            return Err(Error::new(
                ErrorKind::WrongDtype,
                "a tensor beside a packed module has a type that is not read",
            )
            .expected_found("F32, F16, BF16, I8 or U8", other.name()));
        }
    })
}

/// Scales that are codes themselves.
fn nested(codes: &[u8], table: &[f32], outer: &[f32], state: &State) -> Option<Vec<f32>> {
    let scale = |(at, code): (usize, &u8)| {
        Some(table.get(usize::from(*code))? * outer.get(at / state.outer_group.max(1))? + state.outer_offset)
    };
    codes.iter().enumerate().map(scale).collect()
}

/// Settings of a matrix of bitsandbytes.
struct State {
    shape: Option<Vec<u64>>,
    outer_group: usize,
    outer_offset: f32,
}

impl Default for State {
    fn default() -> Self {
        Self { shape: None, outer_group: 256, outer_offset: 0.0 }
    }
}

impl State {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = || Error::new(ErrorKind::Malformed, "a matrix's settings are no JSON object of numbers");
        let value = json::parse_python(bytes).map_err(|_| wrong())?;
        let shape = value.get("shape").and_then(serde_json::Value::as_array);
        let number = |name: &str| value.get(name).and_then(serde_json::Value::as_f64);
        Ok(Self {
            shape: shape.map(|shape| shape.iter().map(|dim| dim.as_u64().unwrap_or(0)).collect()),
            outer_group: number("nested_blocksize").unwrap_or(256.0) as usize,
            outer_offset: number("nested_offset").unwrap_or(0.0) as f32,
        })
    }
}

/// Reads the weight `name`. A matrix of groups that hold plus and minus one number becomes sign planes; others become
/// dense: f16 where that is exact, else f32.
///
/// # Errors
/// Those of [`Decoder::new`].
pub fn decode(name: &str, coded: &Coded, tensors: &[Bytes]) -> Result<Matrix> {
    let decoder = Decoder::new(name, coded, tensors)?;
    let signs = affine_signs(&decoder).or_else(|| two_valued(coded, &decoder));
    if let Some(packed) = signs {
        return Ok(Matrix::Bitpacked(packed));
    }
    let (rows, cols) = (coded.rows() as usize, coded.cols() as usize);
    let mut halves: Vec<f16> = Vec::with_capacity(rows * cols);
    let mut whole: Vec<f32> = Vec::new();
    let mut is_exact = true;
    for_blocks(&decoder, rows, cols, |block| {
        is_exact = is_exact && block.iter().all(|value| f16::from_f32(*value).to_f32() == *value);
        if is_exact {
            halves.extend(block.iter().map(|value| f16::from_f32(*value)));
        } else {
            let before = std::mem::take(&mut halves);
            if !before.is_empty() {
                whole.reserve(rows * cols);
                whole.extend(before.iter().map(|value| value.to_f32()));
            }
            whole.extend_from_slice(block);
        }
        true
    });
    let values = if is_exact { Values::F16(halves) } else { Values::F32(whole) };
    Ok(Matrix::Dense(Dense { rows, cols, values }))
}

/// Hands the values on, some rows at a time, until `take` says no.
fn for_blocks(decoder: &Decoder, rows: usize, cols: usize, mut take: impl FnMut(&[f32]) -> bool) -> bool {
    let at_once = (BLOCK_VALUES / cols.max(1)).max(1);
    let mut block = vec![0.0; at_once.min(rows) * cols];
    (0..rows).step_by(at_once).all(|first| {
        let block = &mut block[..at_once.min(rows - first) * cols];
        decoder.rows(first, block);
        take(block)
    })
}

/// Affine codes of one bit as sign planes, where each bias is minus half its scale: the bits are the signs, or their
/// opposites.
fn affine_signs(decoder: &Decoder) -> Option<Bitpacked> {
    let (coded, codes) = (decoder.coded, &decoder.codes);
    let packing = coded.packing();
    let is_plain = (packing.zero, packing.level, codes.run)
        == (Zero::Bias, Level::Less(0), super::Run::Along)
        && coded.bits() == 1
        && matches!(packing.share, Share::Inputs(_))
        && coded.group().is_multiple_of(bits::WORD_COLUMNS as u64)
        && coded.cols().is_multiple_of(coded.group())
        && !codes.high_first
        && decoder.group_of.is_none();
    if !is_plain {
        return None;
    }
    let layout = Layout::new(coded.rows(), coded.cols(), 1, 0, coded.group()).ok()?;
    let sizes = decoder.scales.iter().zip(&decoder.zeros).map(|(scale, bias)| {
        let size = f16::from_f32(bias.abs());
        (size.to_f32() == bias.abs() && scale + bias == -bias).then_some(size)
    });
    let scale: Vec<f16> = sizes.collect::<Option<_>>()?;
    let words = codes.bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
    let words_of_group = coded.group() as usize / bits::WORD_COLUMNS;
    let sign = words.enumerate().map(|(at, word)| {
        let is_flipped = decoder.zeros[at / words_of_group] > 0.0;
        if is_flipped { !word } else { word }
    });
    Some(Bitpacked {
        layout,
        sign: sign.collect(),
        scale,
        rescue_rows: Vec::new(),
        rescue_code: Vec::new(),
        rescue_scale: Vec::new(),
    })
}

/// The matrix as sign planes, where each group of a row holds plus and minus one number that is exact in f16.
fn two_valued(coded: &Coded, decoder: &Decoder) -> Option<Bitpacked> {
    let group = match coded.packing().share {
        Share::Inputs(_)
            if coded.group().is_multiple_of(bits::WORD_COLUMNS as u64) && coded.group() < coded.cols() =>
        {
            coded.group()
        }
        Share::Inputs(_) => 0,
        Share::Tiles(_) | Share::Neighbours(_) => return None,
    };
    let layout = Layout::new(coded.rows(), coded.cols(), 1, 0, group).ok()?;
    let (rows, cols) = (coded.rows() as usize, coded.cols() as usize);
    let columns = layout.scale_columns() as usize;
    let (mut sign, mut scale) = (Vec::new(), Vec::new());
    let mut row_of = |row: &[f32]| {
        for values in row.chunks(columns) {
            let size = values[0].abs();
            let half = f16::from_f32(size);
            if half.to_f32() != size || values.iter().any(|value| value.abs() != size) {
                return false;
            }
            scale.push(half);
        }
        sign.extend(
            row.chunks(bits::WORD_COLUMNS)
                .map(|word| bits::sign_word(word.iter().map(|v| v.is_sign_positive()))),
        );
        true
    };
    for_blocks(decoder, rows, cols, |block| block.chunks_exact(cols.max(1)).all(&mut row_of)).then(|| {
        Bitpacked {
            layout,
            sign,
            scale,
            rescue_rows: Vec::new(),
            rescue_code: Vec::new(),
            rescue_scale: Vec::new(),
        }
    })
}
