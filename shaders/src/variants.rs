//! What kernels come in several of: how weights are stored and staged, how heads lie.

use crate::params::{Access, BitsWeight, BlocksWeight, DenseWeight, Layout, Params};
use crate::parts::Part;

/// One of the ways in which a kernel is composed.
pub(crate) trait Variant: Sized {
    /// Every way that the host can ask for.
    fn all() -> Vec<Self>;
    /// For people, after the kernel's name; empty where they need not know.
    fn label(self) -> String;
}

/// How a weight matrix is stored, and so which snippet decodes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Sign planes with scales, and 4-bit rescue rows.
    Bits,
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// The upper halves of 32-bit floats.
    Bf16,
    /// ggml's Q4_K.
    Q4K,
    /// ggml's Q5_K.
    Q5K,
    /// ggml's Q6_K, each block padded to whole words.
    Q6K,
}

impl Codec {
    /// Every codec.
    pub const ALL: [Self; 7] =
        [Self::Bits, Self::F32, Self::F16, Self::Bf16, Self::Q4K, Self::Q5K, Self::Q6K];
    /// Marks a rescue row among the slots of [`Codec::Bits`].
    pub const RESCUE: u32 = 1 << 31;

    pub(crate) fn part(self) -> Part {
        match self {
            Self::Bits => Part::new(include_str!("../wgsl/codecs/bits.wgsl"))
                .with("RESCUE", Self::RESCUE)
                .with("RESCUE_GROUP", bitgauge_core::RESCUE_GROUP as u32),
            Self::F32 => Part::new(include_str!("../wgsl/codecs/f32.wgsl")),
            Self::F16 => Part::new(include_str!("../wgsl/codecs/f16.wgsl")),
            Self::Bf16 => Part::new(include_str!("../wgsl/codecs/bf16.wgsl")),
            Self::Q4K => Part::new(include_str!("../wgsl/codecs/q4_k.wgsl"))
                .with("BLOCK_QUADS", 9)
                .with("HIGH_QUADS", 0),
            Self::Q5K => Part::new(include_str!("../wgsl/codecs/q4_k.wgsl"))
                .with("BLOCK_QUADS", 11)
                .with("HIGH_QUADS", 2),
            Self::Q6K => Part::new(include_str!("../wgsl/codecs/q6_k.wgsl")),
        }
    }

    /// The bindings of group 1, in order.
    pub fn bindings(self) -> &'static [Access] {
        use Access::{Read, Uniform};
        match self {
            Self::Bits => &[Uniform, Read, Read, Read, Read, Read],
            Self::F32 | Self::F16 | Self::Bf16 | Self::Q4K | Self::Q5K | Self::Q6K => &[Uniform, Read],
        }
    }

    /// The uniform block of group 1. Its WGSL struct is called `Weight` in every codec.
    pub fn layout(self) -> Layout {
        let layout = match self {
            Self::Bits => BitsWeight::LAYOUT,
            Self::F32 | Self::F16 | Self::Bf16 => DenseWeight::LAYOUT,
            Self::Q4K | Self::Q5K | Self::Q6K => BlocksWeight::LAYOUT,
        };
        Layout { name: "Weight", ..layout }
    }
}

impl Variant for Codec {
    fn all() -> Vec<Self> {
        Self::ALL.to_vec()
    }

    fn label(self) -> String {
        match self {
            Self::Bits => "bits",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        }
        .into()
    }
}

/// How weights are brought into workgroup memory for cooperative matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Staging {
    /// As the tiles of f16 that [`crate::kernels::weight_tiles`] makes of any codec.
    Tiles,
    /// Sign planes of so many bases, 1 to 4, whose scales span [`crate::kernels::matmul_coop::COLUMN_BLOCK`] columns or a
    /// multiple. Rescue rows are left to another product.
    Signs(u8),
}

impl Staging {
    /// How the weights in group 1 are stored, where they are there.
    pub fn codec(self) -> Option<Codec> {
        match self {
            Self::Tiles => None,
            Self::Signs(_) => Some(Codec::Bits),
        }
    }

    pub(crate) fn part(self) -> Part {
        match self {
            Self::Tiles => Part::new(include_str!("../wgsl/parts/stage_tiles.wgsl")).repeating("Q", 16),
            Self::Signs(bases) => Part::new(include_str!("../wgsl/parts/stage_signs.wgsl"))
                .repeating("B", bases)
                .repeating("Q", 8),
        }
    }
}

impl Variant for Staging {
    fn all() -> Vec<Self> {
        std::iter::once(Self::Tiles).chain((1..=4).map(Self::Signs)).collect()
    }

    fn label(self) -> String {
        match self {
            Self::Tiles => "tiles".into(),
            Self::Signs(bases) => format!("{bases} x signs"),
        }
    }
}

/// Where the heads of queries, keys and values begin, and so which snippet reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Heads {
    /// At whole quads of channels.
    Aligned,
    /// Anywhere.
    Any,
}

impl Heads {
    /// The running sums of decays in chunks of so many tokens, then what reads the heads.
    pub(crate) fn parts(self, chunk: u32) -> Vec<Part> {
        let heads = match self {
            Self::Aligned => include_str!("../wgsl/parts/heads_aligned.wgsl"),
            Self::Any => include_str!("../wgsl/parts/heads_any.wgsl"),
        };
        let sums = Part::new(include_str!("../wgsl/parts/chunk_sums.wgsl"));
        vec![sums.with("CHUNK", chunk), Part::new(heads)]
    }
}

impl Variant for Heads {
    fn all() -> Vec<Self> {
        vec![Self::Aligned, Self::Any]
    }

    fn label(self) -> String {
        String::new()
    }
}

/// Heads of whole tiles of 16 channels, at most `MOST`, as cooperative matrices take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tiles<const MOST: u8>(u8);

/// Heads of attention, of up to 256 channels.
pub type HeadTiles = Tiles<16>;
/// Heads of the delta rule's queries and keys, of up to 128 channels.
pub type KeyTiles = Tiles<8>;

impl<const MOST: u8> Tiles<MOST> {
    const CHANNELS: usize = 16;

    /// The tiles of a head with this many channels: a multiple of 16, up to the most.
    pub fn of(head_dim: usize) -> Option<Self> {
        let tiles = u8::try_from(head_dim / Self::CHANNELS).ok()?;
        let is_whole = head_dim.is_multiple_of(Self::CHANNELS) && (1..=MOST).contains(&tiles);
        is_whole.then_some(Self(tiles))
    }

    /// How many tiles of 16 channels.
    pub fn count(self) -> u8 {
        self.0
    }
}

impl<const MOST: u8> Variant for Tiles<MOST> {
    fn all() -> Vec<Self> {
        (1..=MOST).map(Self).collect()
    }

    fn label(self) -> String {
        format!("{} channels", Self::CHANNELS * usize::from(self.0))
    }
}
