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

macro_rules! params {
    ($($(#[$doc:meta])* $name:ident { $($member:ident: $kind:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[allow(missing_docs, reason = "the members are documented in the WGSL struct of this name")]
        pub struct $name { $(pub $member: $kind),* }

        impl Params for $name {
            const LAYOUT: Layout = Layout {
                name: stringify!($name),
                members: &[$((stringify!($member), <$kind as Scalar>::TYPE)),*],
            };
            fn bytes(&self) -> Vec<u8> {
                [$(self.$member.bytes()),*].concat()
            }
        }
    )*};
}

params! {
    /// Of `embed.wgsl`.
    Embed { first_token: u32, first_row: u32, rows: u32, quads: u32, stride: u32 }
    /// Of `rms_norm.wgsl`.
    RmsNorm { columns: u32, stride: u32, eps: f32 }
    /// Of `head_norm.wgsl`.
    HeadNorm { heads: u32, head_dim: u32, stride: u32, eps: f32 }
    /// Of `to_f16.wgsl`.
    ToF16 { tokens: u32, columns: u32, x_stride: u32, tiles_across: u32, interleaved: u32 }
    /// Of `scatter.wgsl`.
    Scatter {
        columns: u32,
        first: u32,
        first_place: u32,
        x_stride: u32,
        out_start: u32,
        out_stride: u32,
    }
    /// Of `matmul.wgsl`, `matmul_f16.wgsl` and `matmul_coop.wgsl`.
    Matmul {
        tokens: u32,
        columns: u32,
        x_stride: u32,
        first_row: u32,
        rows: u32,
        out_quad: u32,
        out_stride: u32,
    }
    /// Of `rotary.wgsl`.
    Rotary { heads: u32, head_dim: u32, pairs: u32, stride: u32, turn_stride: u32 }
    /// Of `attention.wgsl`.
    Attention {
        queries: u32,
        first_query: u32,
        first_key: u32,
        group: u32,
        head_dim: u32,
        q_stride: u32,
        kv_stride: u32,
        scale: f32,
    }
    /// Of `attention_coop.wgsl`.
    AttentionCoop {
        tokens: u32,
        first_tile: u32,
        group: u32,
        q_stride: u32,
        kv_stride: u32,
        out_stride: u32,
        scale: f32,
    }
    /// Of `swiglu.wgsl`.
    Swiglu { quads: u32 }
    /// Of `add.wgsl`.
    Add { quads: u32 }
    /// Of `bias.wgsl`.
    Bias { columns: u32, stride: u32 }
    /// Of `split_heads.wgsl`.
    SplitHeads { heads: u32, head_dim: u32, x_stride: u32, stride: u32 }
    /// Of `sigmoid_gate.wgsl`.
    SigmoidGate { quads: u32 }
    /// Of `causal_conv.wgsl`.
    CausalConv { columns: u32, stride: u32, taps: u32, first_token: u32, before: u32 }
    /// Of `l2_norm.wgsl`.
    L2Norm { heads: u32, head_dim: u32, stride: u32, eps: f32 }
    /// Of `decay_gates.wgsl`.
    DecayGates { heads: u32, stride: u32 }
    /// Of `delta_chunk.wgsl`.
    DeltaChunk {
        key_dim: u32,
        group: u32,
        key_heads: u32,
        first_chunk: u32,
        first_token: u32,
        mixed_stride: u32,
        gate_stride: u32,
        out_stride: u32,
        scale: f32,
    }
    /// Of `delta_rule.wgsl`.
    DeltaRule {
        key_dim: u32,
        value_dim: u32,
        group: u32,
        key_heads: u32,
        first_document: u32,
        first_token: u32,
        mixed_stride: u32,
        gate_stride: u32,
        matrix_stride: u32,
        out_stride: u32,
        scale: f32,
    }
    /// Of `gated_norm.wgsl`.
    GatedNorm { heads: u32, head_dim: u32, stride: u32, eps: f32 }
    /// Of `head_loss.wgsl`.
    HeadLoss { first_token: u32, first_row: u32, columns: u32, stride: u32, starts: u32 }
    /// Of the dense codecs: `codec_f32.wgsl`, `codec_f16.wgsl`, `codec_bf16.wgsl`.
    DenseWeight { row_quads: u32 }
    /// Of `codec_bits.wgsl`.
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
