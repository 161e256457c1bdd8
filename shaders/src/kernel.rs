//! The closed set of kernels and codecs, what each binds, and how their text is put together.

use crate::params::{self, Layout, Params};

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
}

/// How weights are brought into workgroup memory for cooperative matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Staging {
    /// Four columns at a time, whatever the codec.
    Decoded(Codec),
    /// Sign planes of so many bases whose scales span 128 columns or a multiple. Rescue rows are left
    /// to another product.
    Signs(u8),
}

impl Staging {
    /// Every way.
    pub fn all() -> impl Iterator<Item = Self> {
        Codec::ALL.into_iter().map(Self::Decoded).chain((1..=4).map(Self::Signs))
    }

    /// How the weights are stored.
    pub fn codec(self) -> Codec {
        match self {
            Self::Decoded(codec) => codec,
            Self::Signs(_) => Codec::Bits,
        }
    }

    fn source(self) -> String {
        match self {
            Self::Decoded(_) => include_str!("../wgsl/stage_decoded.wgsl").to_owned(),
            Self::Signs(bases) => {
                let sum =
                    |name: &str| (0..bases).map(|b| format!("{name}_$q_{b}")).collect::<Vec<_>>().join(" + ");
                let source = include_str!("../wgsl/stage_signs.wgsl");
                let source = source.replace("($near)", &format!("({})", sum("near")));
                let source = source.replace("($far)", &format!("({})", sum("far")));
                unrolled(&source, &[("$b", bases), ("$q", 8)])
            }
        }
    }
}

/// One operation on the device. Its WGSL file, CPU twin, dispatch and test share its name; `DeltaChunk` is
/// the first half of `DeltaRule` and is tested with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is documented in the WGSL file of its name")]
pub enum Kernel {
    Embed(Codec),
    RmsNorm,
    HeadNorm,
    Matmul(Codec),
    MatmulF16(Codec),
    MatmulCoop(Staging),
    Scatter,
    ToF16,
    Rotary,
    Attention,
    /// For heads of this many times 16 channels.
    AttentionCoop(u8),
    Swiglu,
    Add,
    Bias,
    SplitHeads,
    SigmoidGate,
    CausalConv,
    L2Norm,
    DecayGates,
    DeltaChunk(Heads),
    DeltaRule(Heads),
    GatedNorm,
    HeadLoss,
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
    /// Both.
    pub const ALL: [Self; 2] = [Self::Aligned, Self::Any];

    fn source(self) -> &'static str {
        match self {
            Self::Aligned => include_str!("../wgsl/heads_aligned.wgsl"),
            Self::Any => include_str!("../wgsl/heads_any.wgsl"),
        }
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

impl Codec {
    /// Every codec.
    pub const ALL: [Self; 4] = [Self::Bits, Self::F32, Self::F16, Self::Bf16];

    fn name(self) -> &'static str {
        match self {
            Self::Bits => "bits",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::Bits => include_str!("../wgsl/codec_bits.wgsl"),
            Self::F32 => include_str!("../wgsl/codec_f32.wgsl"),
            Self::F16 => include_str!("../wgsl/codec_f16.wgsl"),
            Self::Bf16 => include_str!("../wgsl/codec_bf16.wgsl"),
        }
    }

    /// The bindings of group 1, in order.
    pub fn bindings(self) -> &'static [Access] {
        use Access::{Read, Uniform};
        match self {
            Self::Bits => &[Uniform, Read, Read, Read, Read, Read],
            Self::F32 | Self::F16 | Self::Bf16 => &[Uniform, Read],
        }
    }

    /// The uniform block of group 1. Its WGSL struct is called `Weight` in every codec.
    pub fn layout(self) -> Layout {
        let layout = match self {
            Self::Bits => params::BitsWeight::LAYOUT,
            Self::F32 | Self::F16 | Self::Bf16 => params::DenseWeight::LAYOUT,
        };
        Layout { name: "Weight", ..layout }
    }
}

impl Kernel {
    /// Every kernel with every codec that it works with.
    pub fn all() -> Vec<Self> {
        let plain = [
            Self::RmsNorm,
            Self::HeadNorm,
            Self::Rotary,
            Self::Attention,
            Self::AttentionCoop(1),
            Self::AttentionCoop(4),
            Self::AttentionCoop(8),
            Self::AttentionCoop(16),
            Self::Swiglu,
            Self::Add,
            Self::Bias,
            Self::SplitHeads,
            Self::SigmoidGate,
            Self::CausalConv,
            Self::L2Norm,
            Self::DecayGates,
            Self::DeltaChunk(Heads::Aligned),
            Self::DeltaChunk(Heads::Any),
            Self::DeltaRule(Heads::Aligned),
            Self::DeltaRule(Heads::Any),
            Self::GatedNorm,
            Self::ToF16,
            Self::Scatter,
        ];
        let decoding = Codec::ALL
            .into_iter()
            .flat_map(|codec| [Self::Embed(codec), Self::Matmul(codec), Self::MatmulF16(codec)]);
        let staging = Staging::all().map(Self::MatmulCoop);
        plain.into_iter().chain(decoding).chain(staging).chain([Self::HeadLoss]).collect()
    }

    /// The name that its WGSL file, CPU twin, dispatch and test share.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed(_) => "embed",
            Self::RmsNorm => "rms_norm",
            Self::HeadNorm => "head_norm",
            Self::Matmul(_) => "matmul",
            Self::MatmulF16(_) => "matmul_f16",
            Self::MatmulCoop(_) => "matmul_coop",
            Self::ToF16 => "to_f16",
            Self::Scatter => "scatter",
            Self::Rotary => "rotary",
            Self::Attention => "attention",
            Self::AttentionCoop(_) => "attention_coop",
            Self::Swiglu => "swiglu",
            Self::Add => "add",
            Self::Bias => "bias",
            Self::SplitHeads => "split_heads",
            Self::SigmoidGate => "sigmoid_gate",
            Self::CausalConv => "causal_conv",
            Self::L2Norm => "l2_norm",
            Self::DecayGates => "decay_gates",
            Self::DeltaChunk(_) => "delta_chunk",
            Self::DeltaRule(_) => "delta_rule",
            Self::GatedNorm => "gated_norm",
            Self::HeadLoss => "head_loss",
        }
    }

    /// Its name with its codec's, for people: `matmul, bits`.
    pub fn label(self) -> String {
        match self {
            Self::MatmulCoop(Staging::Signs(bases)) => format!("matmul_coop, {bases} x signs"),
            Self::AttentionCoop(tiles) => format!("attention_coop, {} channels", 16 * u32::from(tiles)),
            _ => {
                self.codec().map_or(self.name().into(), |codec| format!("{}, {}", self.name(), codec.name()))
            }
        }
    }

    /// How the weights in group 1 are stored, for kernels that have any.
    pub fn codec(self) -> Option<Codec> {
        match self {
            Self::Embed(codec) | Self::Matmul(codec) | Self::MatmulF16(codec) => Some(codec),
            Self::MatmulCoop(staging) => Some(staging.codec()),
            _ => None,
        }
    }

    /// The bindings of group 0, in order.
    pub fn bindings(self) -> &'static [Access] {
        use Access::{Read, Uniform, Write};
        match self {
            Self::Embed(_) | Self::Matmul(_) | Self::MatmulF16(_) | Self::MatmulCoop(_) | Self::ToF16 => {
                &[Uniform, Read, Write]
            }
            Self::RmsNorm | Self::Scatter => &[Uniform, Read, Read, Write],
            Self::HeadNorm | Self::Rotary | Self::Swiglu | Self::Add | Self::Bias | Self::SigmoidGate => {
                &[Uniform, Write, Read]
            }
            Self::SplitHeads => &[Uniform, Read, Write, Write],
            Self::CausalConv => &[Uniform, Read, Read, Read, Write],
            Self::L2Norm => &[Uniform, Write],
            Self::DecayGates => &[Uniform, Write, Write, Read, Read],
            Self::DeltaChunk(_) | Self::DeltaRule(_) => &[Uniform, Read, Read, Read, Read, Write],
            Self::GatedNorm => &[Uniform, Write, Read, Read],
            Self::Attention | Self::AttentionCoop(_) => &[Uniform, Read, Read, Read, Read, Write],
            Self::HeadLoss => &[Uniform, Read, Read, Write],
        }
    }

    /// The uniform block of group 0.
    pub fn layout(self) -> Layout {
        match self {
            Self::Embed(_) => params::Embed::LAYOUT,
            Self::RmsNorm => params::RmsNorm::LAYOUT,
            Self::HeadNorm => params::HeadNorm::LAYOUT,
            Self::Matmul(_) | Self::MatmulF16(_) | Self::MatmulCoop(_) => params::Matmul::LAYOUT,
            Self::ToF16 => params::ToF16::LAYOUT,
            Self::Scatter => params::Scatter::LAYOUT,
            Self::Rotary => params::Rotary::LAYOUT,
            Self::Attention => params::Attention::LAYOUT,
            Self::AttentionCoop(_) => params::AttentionCoop::LAYOUT,
            Self::Swiglu => params::Swiglu::LAYOUT,
            Self::Add => params::Add::LAYOUT,
            Self::Bias => params::Bias::LAYOUT,
            Self::SplitHeads => params::SplitHeads::LAYOUT,
            Self::SigmoidGate => params::SigmoidGate::LAYOUT,
            Self::CausalConv => params::CausalConv::LAYOUT,
            Self::L2Norm => params::L2Norm::LAYOUT,
            Self::DecayGates => params::DecayGates::LAYOUT,
            Self::DeltaChunk(_) => params::DeltaChunk::LAYOUT,
            Self::DeltaRule(_) => params::DeltaRule::LAYOUT,
            Self::GatedNorm => params::GatedNorm::LAYOUT,
            Self::HeadLoss => params::HeadLoss::LAYOUT,
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::Embed(_) => include_str!("../wgsl/embed.wgsl"),
            Self::RmsNorm => include_str!("../wgsl/rms_norm.wgsl"),
            Self::HeadNorm => include_str!("../wgsl/head_norm.wgsl"),
            Self::Matmul(_) => include_str!("../wgsl/matmul.wgsl"),
            Self::MatmulF16(_) => include_str!("../wgsl/matmul_f16.wgsl"),
            Self::MatmulCoop(_) => include_str!("../wgsl/matmul_coop.wgsl"),
            Self::ToF16 => include_str!("../wgsl/to_f16.wgsl"),
            Self::Scatter => include_str!("../wgsl/scatter.wgsl"),
            Self::Rotary => include_str!("../wgsl/rotary.wgsl"),
            Self::Attention => include_str!("../wgsl/attention.wgsl"),
            Self::AttentionCoop(_) => include_str!("../wgsl/attention_coop.wgsl"),
            Self::Swiglu => include_str!("../wgsl/swiglu.wgsl"),
            Self::Add => include_str!("../wgsl/add.wgsl"),
            Self::Bias => include_str!("../wgsl/bias.wgsl"),
            Self::SplitHeads => include_str!("../wgsl/split_heads.wgsl"),
            Self::SigmoidGate => include_str!("../wgsl/sigmoid_gate.wgsl"),
            Self::CausalConv => include_str!("../wgsl/causal_conv.wgsl"),
            Self::L2Norm => include_str!("../wgsl/l2_norm.wgsl"),
            Self::DecayGates => include_str!("../wgsl/decay_gates.wgsl"),
            Self::DeltaChunk(_) => include_str!("../wgsl/delta_chunk.wgsl"),
            Self::DeltaRule(_) => include_str!("../wgsl/delta_rule.wgsl"),
            Self::GatedNorm => include_str!("../wgsl/gated_norm.wgsl"),
            Self::HeadLoss => include_str!("../wgsl/head_loss.wgsl"),
        }
    }
}

/// What the kernels for cooperative matrices enable.
const COOPERATIVE: &str = "enable f16;\nenable wgpu_cooperative_matrix;\n";

/// The whole WGSL module of a kernel: what it enables, what it builds on, then the kernel. The entry
/// point is `main`.
pub fn compose(kernel: Kernel) -> String {
    let parts = include_str!("../wgsl/matmul_parts.wgsl");
    let below = match kernel {
        Kernel::Embed(codec) => vec![codec.source()],
        Kernel::Matmul(codec) => vec![codec.source(), parts],
        Kernel::MatmulF16(codec) => vec!["enable f16;", codec.source(), parts],
        Kernel::MatmulCoop(staging) => vec![COOPERATIVE, staging.codec().source()],
        Kernel::AttentionCoop(_) => vec![COOPERATIVE],
        Kernel::RmsNorm | Kernel::HeadLoss => vec![include_str!("../wgsl/reduce.wgsl")],
        Kernel::L2Norm | Kernel::GatedNorm | Kernel::HeadNorm => {
            vec![include_str!("../wgsl/reduce_heads.wgsl")]
        }
        Kernel::DeltaChunk(heads) | Kernel::DeltaRule(heads) => {
            vec![include_str!("../wgsl/chunk_sums.wgsl"), heads.source()]
        }
        _ => Vec::new(),
    };
    let source = match kernel {
        Kernel::MatmulCoop(staging) => staging.source() + &unrolled(kernel.source(), &[("$i", 4), ("$j", 4)]),
        Kernel::AttentionCoop(tiles) => {
            format!("const HEAD_TILES = {tiles}u;\n") + &unrolled(kernel.source(), &[("$c", tiles)])
        }
        _ => kernel.source().to_owned(),
    };
    [below.join("\n"), source].join("\n")
}

/// Repeats each line that contains one of these names, for 0 to below its count in its place.
fn unrolled(source: &str, counts: &[(&str, u8)]) -> String {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut lines: Vec<String> = code.map(str::to_owned).collect();
    for (name, count) in counts {
        let repeat = |line: String| -> Vec<String> {
            let count = if line.contains(name) { *count } else { 1 };
            (0..count).map(|i| line.replace(name, &i.to_string())).collect()
        };
        lines = lines.into_iter().flat_map(repeat).collect();
    }
    lines.join("\n")
}
