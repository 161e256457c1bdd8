//! The uniform block of each kernel, as the host fills it.
//!
//! Every member is a 32-bit scalar, so member `i` lies at byte `4 i` in both languages. A test
//! compares names, types, offsets and sizes with what naga reads out of the WGSL.

/// A 32-bit scalar of a uniform block.
pub trait Scalar: Copy {
    /// Its WGSL type.
    const TYPE: &'static str;
    /// Its four bytes.
    fn bytes(self) -> [u8; 4];
}

impl Scalar for u32 {
    const TYPE: &'static str = "u32";
    fn bytes(self) -> [u8; 4] {
        self.to_ne_bytes()
    }
}

impl Scalar for f32 {
    const TYPE: &'static str = "f32";
    fn bytes(self) -> [u8; 4] {
        self.to_ne_bytes()
    }
}

/// How a kernel reaches one of its bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The uniform block.
    Uniform,
    /// A storage buffer that is only read.
    Read,
    /// A storage buffer that is written.
    Write,
}

/// What a uniform block is: its WGSL struct and its members in order, with their WGSL types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Name of the struct.
    pub name: &'static str,
    /// Name and type of each member.
    pub members: &'static [(&'static str, &'static str)],
}

/// A uniform block.
pub trait Params {
    /// Its layout.
    const LAYOUT: Layout;
    /// Its bytes, as the device reads them.
    fn bytes(&self) -> Vec<u8>;
}

/// Uniform blocks: a struct of 32-bit scalars each.
macro_rules! params {
    ($($(#[$doc:meta])* $name:ident { $($member:ident: $kind:ty),* $(,)? })*) => {$(
        #[doc = concat!("The uniform block `", stringify!($name), "` of the WGSL.")]
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[allow(missing_docs, reason = "the members are documented in the WGSL struct of this name")]
        pub struct $name { $(pub $member: $kind),* }

        impl $crate::params::Params for $name {
            const LAYOUT: $crate::params::Layout = $crate::params::Layout {
                name: stringify!($name),
                members: &[$((stringify!($member), <$kind as $crate::params::Scalar>::TYPE)),*],
            };
            fn bytes(&self) -> Vec<u8> {
                [$($crate::params::Scalar::bytes(self.$member)),*].concat()
            }
        }
    )*};
}

pub(crate) use params;

params! {
    ///
    /// Of the dense codecs: `f32.wgsl`, `f16.wgsl`, `bf16.wgsl`.
    DenseWeight { row_quads: u32 }
    ///
    /// Of ggml's block types: `q4_k.wgsl`, `q6_k.wgsl`.
    BlocksWeight { row_words: u32 }
    ///
    /// Of `bits.wgsl`.
    BitsWeight {
        bases: u32,
        binary_rows: u32,
        sign_words: u32,
        scale_groups: u32,
        group_columns: u32,
        code_words: u32,
        rescue_groups: u32,
    }
}
