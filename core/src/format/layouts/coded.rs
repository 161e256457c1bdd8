//! Sizes of one coded matrix: what its tensors must be, and what the validator counts of them.

use std::sync::Arc;

use super::{Count, Packing, Piece, Run, Scale, Scheme, Share, Zero};
use crate::container::TensorEntry;
use crate::tensor::Dtype;
use crate::{Error, ErrorKind, Result, limits};

/// Most bits of a code.
const CODE_BITS: u64 = 8;

/// Indices of the tensors that hold a module's weight, each with what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces(pub Vec<(Piece, usize)>);

impl Pieces {
    /// The tensor of a piece.
    pub fn get(&self, piece: Piece) -> Option<usize> {
        self.0.iter().find(|(of, _)| *of == piece).map(|(_, index)| *index)
    }
}

/// What config.json says about a module; `None` where it leaves it to the shapes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Declared {
    /// Bits of a code.
    pub bits: Option<u64>,
    /// Codes that share a scale.
    pub group: Option<u64>,
}

/// A matrix `[N, K]` as a scheme's writer stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    scheme: Arc<Scheme>,
    packing: usize,
    rows: u64,
    cols: u64,
    bits: u64,
    group: u64,
    stored_bits: u64,
    counted: u64,
}

impl Coded {
    /// How the tensors of `pieces` hold a matrix `[rows, cols]`.
    ///
    /// # Errors
    /// Naming the tensor: what no packing of the scheme allows, as the one says that comes closest.
    pub fn derive(
        tensors: &[TensorEntry],
        pieces: &Pieces,
        scheme: &Arc<Scheme>,
        declared: Declared,
        [rows, cols]: [u64; 2],
    ) -> Result<Self> {
        let sum =
            |of: &dyn Fn(&TensorEntry) -> u64| pieces.0.iter().map(|&(_, index)| of(&tensors[index])).sum();
        let elements = |tensor: &TensorEntry| tensor.shape.iter().product();
        let codes = pieces.get(Piece::Codes).map_or(0, |index| elements(&tensors[index]));
        let mut coded = Self {
            scheme: scheme.clone(),
            packing: 0,
            rows,
            cols,
            bits: 0,
            group: 0,
            stored_bits: sum(&|tensor| 8 * tensor.bytes),
            counted: match scheme.count {
                Count::Full => rows * cols,
                Count::Nothing => 0,
                Count::Codes => codes,
                Count::Tensors => sum(&elements),
            },
        };
        let mut failure = None;
        for packing in 0..scheme.packings.len() {
            coded.packing = packing;
            match coded.fit(tensors, pieces, declared) {
                Ok(()) => return Ok(coded),
                // One whose tensors are all there says more than one that asks for others.
                Err(error) => {
                    if failure.as_ref().is_none_or(|first: &Error| first.kind == ErrorKind::Missing) {
                        failure = Some(error);
                    }
                }
            }
        }
        Err(failure.unwrap_or_else(|| Error::new(ErrorKind::Missing, "the format has no packing")))
    }

    /// Takes bits and group from the shapes and from what config.json says, and checks all of them.
    fn fit(&mut self, tensors: &[TensorEntry], pieces: &Pieces, declared: Declared) -> Result<()> {
        let tensor = |piece| pieces.get(piece).map(|index| &tensors[index]);
        let packing = &self.scheme.packings[self.packing];
        let (Some(codes), Some(scales)) = (tensor(Piece::Codes), tensor(Piece::Scales)) else {
            return Err(missing(self.scheme.suffix(Piece::Scales), "none"));
        };
        let zeros = tensor(Piece::Zeros);
        let is_nested = tensor(Piece::OuterScales).is_some();
        if zeros.is_some() != (packing.zero != Zero::None)
            || is_nested != (packing.scale == Scale::Nested)
            || is_float(scales.dtype) != (packing.scale == Scale::Float)
        {
            return Err(missing(&scales.name, "another set of tensors").within(&codes.name));
        }
        let elements = self.rows * self.cols;
        let word_bits = 8 * codes.dtype.bytes();
        let stored = match packing.words.bits {
            0 => 8 * codes.bytes / elements.max(1),
            bits => u64::from(bits),
        };
        let bits = declared.bits.filter(|_| packing.words.bits == 0).unwrap_or(stored);
        if !(1..=CODE_BITS).contains(&bits) {
            return Err(wrong_shape(codes, "codes of 1 to 8 bits"));
        }
        self.bits = bits;
        let wanted = self.code_bytes(packing, word_bits);
        if codes.bytes != wanted || !self.is_along(packing, codes) {
            return Err(wrong_shape(
                codes,
                format!("{wanted} bytes of {bits}-bit codes for {elements} weights"),
            ));
        }
        let (groups, wanted) = self.find_groups(packing, declared.group, product(&scales.shape));
        self.group = groups;
        let side = usize::from(packing.words.transposed);
        let is_turned = matches!(packing.share, Share::Inputs(_))
            && scales.shape.len() == 2
            && wanted > 1
            && scales.shape[side] != self.rows;
        if product(&scales.shape) != wanted || is_turned {
            return Err(wrong_shape(scales, format!("{wanted} scales, one for {groups} weights")));
        }
        if let Some(zeros) = zeros {
            let wanted = match packing.zero {
                // As many lines as an output has groups, each of codes for all outputs.
                Zero::Packed { .. } => {
                    wanted / self.rows.max(1) * (self.rows * bits).div_ceil(8 * zeros.dtype.bytes())
                }
                _ => wanted,
            };
            if product(&zeros.shape) != wanted {
                return Err(wrong_shape(zeros, format!("{wanted} elements")));
            }
        }
        match tensor(Piece::GroupOfInput) {
            Some(groups) if product(&groups.shape) != self.cols || groups.dtype != Dtype::I32 => {
                Err(wrong_shape(groups, format!("{} numbers of groups", self.cols)))
            }
            _ => Ok(()),
        }
    }

    /// Whether the codes' tensor has the two dimensions that they run along.
    fn is_along(&self, packing: &Packing, codes: &TensorEntry) -> bool {
        if matches!(packing.share, Share::Neighbours(_)) {
            return true;
        }
        let [lines, length] = self.sides(packing);
        match (packing.words.run, &codes.shape[..]) {
            (Run::Along, [first, _]) => *first == lines,
            (Run::Down | Run::Blocks, [_, last]) => *last == length,
            _ => false,
        }
    }

    /// Lines of the codes' tensor once it is unpacked, and their length.
    pub(super) fn sides(&self, packing: &Packing) -> [u64; 2] {
        if packing.words.transposed { [self.cols, self.rows] } else { [self.rows, self.cols] }
    }

    /// Bytes that the codes take.
    fn code_bytes(&self, packing: &Packing, word_bits: u64) -> u64 {
        let Self { rows, cols, bits, .. } = *self;
        if let (Share::Neighbours(_), Run::Along) = (packing.share, packing.words.run) {
            return (rows * cols * bits).div_ceil(8);
        }
        let [lines, length] = self.sides(packing);
        let words = match packing.words.run {
            Run::Along => lines * (length * bits).div_ceil(word_bits),
            Run::Down => length * (lines * bits).div_ceil(word_bits),
            Run::Blocks => {
                let lines = match packing.share {
                    Share::Neighbours(group) => return self.blocks(group, word_bits),
                    _ => lines,
                };
                length * lines.div_ceil((word_bits / bits).max(1))
            }
        };
        words * word_bits / 8
    }

    /// Bytes of codes in blocks of rows, where a row is a group.
    fn blocks(&self, group: u64, word_bits: u64) -> u64 {
        let lines = (self.rows * self.cols).div_ceil(group.max(1));
        group * lines.div_ceil((word_bits / self.bits).max(1)) * word_bits / 8
    }

    /// How many codes share a scale, and how many scales that makes.
    fn find_groups(&self, packing: &Packing, declared: Option<u64>, scales: u64) -> (u64, u64) {
        let Self { rows, cols, .. } = *self;
        match packing.share {
            Share::Tiles(size) => {
                let size = declared.unwrap_or(size).max(1);
                (size, rows.div_ceil(size) * cols.div_ceil(size))
            }
            Share::Neighbours(size) => {
                let of_shape = (rows * cols).div_ceil(scales.max(1)).next_power_of_two();
                let size = if size > 0 { size } else { declared.unwrap_or(of_shape).max(1) };
                (size, (rows * cols).div_ceil(size))
            }
            Share::Inputs(_) if scales == 1 => (rows * cols, 1),
            Share::Inputs(size) => {
                let of_shape = cols.div_ceil((scales / rows.max(1)).max(1));
                let size = if size > 0 { size } else { declared.unwrap_or(of_shape) }.clamp(1, cols.max(1));
                (size, rows * cols.div_ceil(size))
            }
        }
    }

    /// The scheme and what the bits mean.
    pub fn packing(&self) -> &Packing {
        &self.scheme.packings[self.packing]
    }

    /// Why transformers does not load it.
    pub fn fault(&self) -> Option<&'static str> {
        self.packing().fault.or_else(|| {
            let is_uneven = |&(side, tiles): &(u64, u64)| !side.is_multiple_of(tiles);
            self.tiles()
                .iter()
                .any(is_uneven)
                .then_some("transformers 5.24 can't cut a matrix into equal tiles")
        })
    }

    /// Why it is open what transformers makes of it.
    pub fn doubt(&self) -> Option<&'static str> {
        let is_recut = |&(side, tiles): &(u64, u64)| tiles > 1 && side != tiles * self.group;
        self.tiles().iter().any(is_recut).then_some("transformers 5.24 cuts a matrix into smaller tiles")
    }

    /// Both sides where transformers unpacks tiles, and how many tiles lie along each.
    fn tiles(&self) -> [(u64, u64); 2] {
        let of = |side: u64| match self.packing().share {
            Share::Tiles(_) if self.scheme.has_equal_tiles => (side, side.div_ceil(self.group).max(1)),
            _ => (side, 1),
        };
        [of(self.rows), of(self.cols)]
    }

    /// Whose format it is.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Number of output rows, N.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Number of input columns, K.
    pub fn cols(&self) -> u64 {
        self.cols
    }

    /// Bits of a code.
    pub fn bits(&self) -> u64 {
        self.bits
    }

    /// Codes that share a scale: inputs of an output, the side of a tile, or neighbours.
    pub fn group(&self) -> u64 {
        self.group
    }

    /// Logical parameters `N * K`.
    pub fn parameters(&self) -> u64 {
        self.rows * self.cols
    }

    /// Bits of all its tensors.
    pub fn stored_bits(&self) -> u64 {
        self.stored_bits
    }

    /// Those of them that are codes.
    pub fn code_bits(&self) -> u64 {
        (self.parameters() * self.bits).min(self.stored_bits)
    }

    /// What the validator counts of it.
    pub fn counted(&self) -> u64 {
        self.counted
    }
}

/// Elements of a shape. [`limits`] and the tensor's length keep the product within u64.
fn product(shape: &[u64]) -> u64 {
    shape.iter().product()
}

fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32)
}

fn missing(expected: &str, found: &str) -> Error {
    Error::new(ErrorKind::Missing, "a tensor beside a packed module is missing")
        .expected_found(expected, found)
}

fn wrong_shape(tensor: &TensorEntry, expected: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::WrongShape, "a tensor beside a packed module has the wrong shape")
        .within(&tensor.name)
        .expected_found(expected, format!("{} {:?}", tensor.dtype.name(), tensor.shape))
}

// The bits of the largest matrix fit u64.
const _: () =
    assert!(limits::MODEL_DIMENSION as u128 * limits::MODEL_DIMENSION as u128 * 8 <= u64::MAX as u128);
