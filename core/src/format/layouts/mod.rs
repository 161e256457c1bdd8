//! How other writers lay a matrix into tensors, as data.
//!
//! A [`Scheme`] is what one writer stores: the tensors beside a module ([`Slot`]), and one or several [`Packing`]s, which say
//! what their bits mean. [`schemes`] has a row for each writer. Which tensors belong together ([`group`]), their sizes and
//! what the validator counts ([`Coded`]), and the values ([`Decoder`]) come from the row alone.
//!
//! A matrix is `[N, K]`, outputs by inputs. Its *codes* are whole numbers of a few bits. A value is
//! `(level(code) - zero) * scale` or `level(code) * scale + bias`.

mod coded;
mod codes;
mod decode;
mod given;
mod group;
mod numbers;
pub mod schemes;

use std::borrow::Cow;

pub use coded::{Coded, Declared, Pieces};
pub use decode::{Bytes, Decoder, decode};
pub use group::group;

/// What one writer stores in place of a module's weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    /// What people call it.
    pub name: Cow<'static, str>,
    /// The tensors beside a module. A module is packed where its codes and its scales are there.
    pub slots: Cow<'static, [Slot]>,
    /// What the bits may mean; the first that fits the tensors counts.
    pub packings: Cow<'static, [Packing]>,
    /// What the validator counts of a packed module.
    pub count: Count,
    /// Why transformers does not load it.
    pub fault: Option<&'static str>,
    /// Why it is open whether transformers loads it.
    pub doubt: Option<&'static str>,
    /// What its maker should know: what counts, and the way out.
    pub note: &'static str,
    /// What the names of the modules may begin with, to be left out.
    pub prefix: &'static str,
    /// Whether all else is kept as MLX does: norms whole, convolutions with their single channel last.
    pub is_mlx: bool,
    /// Whether linear layers round their inputs to 8 bits, token by token.
    pub rounds_inputs: bool,
    /// Whether biases of packed modules are multiplied by their scale, too.
    pub scales_biases: bool,
    /// Whether transformers cuts a matrix into tiles of equal size, whatever their size was.
    pub has_equal_tiles: bool,
}

/// One of the tensors beside a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// What it holds.
    pub piece: Piece,
    /// What follows the module's name and a dot.
    pub suffix: Cow<'static, str>,
}

/// What a tensor beside a module holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// The codes.
    Codes,
    /// A scale for each group of codes.
    Scales,
    /// A zero point, or a bias, for each group.
    Zeros,
    /// The group of each input.
    GroupOfInput,
    /// The level of each code.
    Table,
    /// What the scales are, where those are codes themselves.
    OuterTable,
    /// Scales of the scales.
    OuterScales,
    /// Settings of the matrix, as JSON.
    State,
    /// What decoding does not need.
    Other,
}

/// What the validator counts of a module's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// All `N * K`: the values are unpacked, or report the size that they stand for.
    Full,
    /// None: the tensors are buffers.
    Nothing,
    /// The elements of the codes' tensor.
    Codes,
    /// The elements of all its tensors.
    Tensors,
}

/// What the bits of a module's tensors mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// How codes lie in words.
    pub words: Words,
    /// What a code stands for.
    pub level: Level,
    /// What the tensor of scales holds.
    pub scale: Scale,
    /// How a level meets its scale.
    pub scaling: Scaling,
    /// What is subtracted or added.
    pub zero: Zero,
    /// Which codes share a scale.
    pub share: Share,
    /// Why transformers does not load this one.
    pub fault: Option<&'static str>,
}

/// Codes that lie in order.
pub const IN_ORDER: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// How codes lie in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// Bits of a code; 0 where the shapes say.
    pub bits: u32,
    /// In which direction codes follow each other.
    pub run: Run,
    /// Whether the first code of a word lies in its highest bits.
    pub high_first: bool,
    /// Whether the tensor's first dimension counts inputs (groups of them, for scales), not outputs.
    pub transposed: bool,
    /// Which code of every eight along a line lies at each place in turn.
    pub order: [u8; 8],
}

/// In which direction codes follow each other, in a tensor of two dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Along a row, as a stream of bits: a code may straddle two words.
    Along,
    /// Down a column, as a stream of bits.
    Down,
    /// The rows are cut into as many blocks as a word holds codes; each lies at its own place in the words.
    Blocks,
}

/// What a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The number that it is, less this.
    Less(u32),
    /// The number that it is, less half of what fits.
    LessHalf,
    /// Two's complement.
    Signed,
    /// A number of 4 bits: sign, 2 of exponent, 1 of mantissa.
    E2m1,
    /// A number of 8 bits: sign, 4 of exponent, 3 of mantissa, without infinities.
    E4m3,
    /// An element of [`Piece::Table`].
    Table,
}

/// What the tensor of scales holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Floating-point numbers of its own type.
    Float,
    /// Exponents of 2, 127 too high.
    E8m0,
    /// As [`Level::E4m3`].
    E4m3,
    /// Codes of 8 bits into [`Piece::OuterTable`], times [`Piece::OuterScales`], plus an offset.
    Nested,
}

/// How a level meets its scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// It is multiplied by it.
    Times,
    /// It is divided by it.
    Over,
    /// It is multiplied by it, and divided by 127.
    TimesOver127,
}

/// What is subtracted from a level, or added to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zero {
    /// Nothing; there is no such tensor.
    None,
    /// A bias of each group is added to the value.
    Bias,
    /// A number of each group is subtracted from the level.
    Number,
    /// The same as packed codes, to whose level a number is added.
    Packed {
        /// In which direction they follow each other.
        run: Run,
        /// What is added.
        plus: u32,
    },
}

/// Which codes share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Neighbouring inputs of an output, this many; 0 where config.json or the shapes say. One scale may stand for all.
    Inputs(u64),
    /// Tiles of this many outputs and inputs.
    Tiles(u64),
    /// This many neighbours in the matrix laid end to end; 0 where config.json or the shapes say.
    Neighbours(u64),
}

impl Scheme {
    /// The suffix of a piece's tensor; empty where the scheme has none.
    pub(crate) fn suffix(&self, piece: Piece) -> &str {
        self.slots.iter().find(|slot| slot.piece == piece).map_or("", |slot| &slot.suffix)
    }
}
