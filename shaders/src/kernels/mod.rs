//! Every kernel, and how its text is put together.
//!
//! A kernel has one name: of its module here, which declares its uniform block, bindings, twin, bound and
//! trials, and of its WGSL file. Adding one takes those two files and two lines below.

pub mod add;
pub mod attention;
pub mod attention_coop;
pub mod bias;
pub mod causal_conv;
pub mod chunk_tiles;
pub mod decay_gates;
pub mod delta_chunk;
pub mod delta_chunk_coop;
pub mod delta_rule;
pub mod delta_rule_coop;
pub mod embed;
pub mod gated_norm;
pub mod head_loss;
pub mod head_norm;
pub mod l2_norm;
pub mod matmul;
pub mod matmul_coop;
pub mod matmul_f16;
pub mod rms_norm;
pub mod rotary;
pub mod round_rows;
pub mod scatter;
pub mod sigmoid_gate;
pub mod split_heads;
pub mod swiglu;
pub mod to_f16;
pub mod weight_tiles;

pub(crate) mod declaration;

use crate::params::Layout;
use crate::variants::Variant;
use prelude::*;

/// What the files of kernels use.
mod prelude {
    pub(super) use super::Kernel;
    pub(super) use super::declaration::Declaration;
    pub(super) use super::declaration::call::{Call, Row};
    pub(super) use super::declaration::trial::{EPS, HEADS, Random, SIZES, Trial, far_out};
    pub(super) use crate::params::Access::{self, Read, Uniform, Write};
    pub(super) use crate::params::params;
    pub(super) use crate::parts::Part;
    pub(super) use crate::variants::{Codec, HeadTiles, Heads, KeyTiles, Staging};
}

/// Makes the set of kernels out of modules, variants of [`Kernel`], and what those come in several of.
macro_rules! kernels {
    ($($module:ident: $name:ident $(($variant:ident: $kind:ty))?,)*) => {
        /// One operation on the device.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each is documented in the module of its name")]
        pub enum Kernel { $($name $(($kind))?),* }

        impl Kernel {
            /// Every kernel, in every way that the host can ask for.
            pub fn all() -> Vec<Self> {
                [$(kernels!(@all $name $($kind)?)),*].concat()
            }

            /// The name that its module, WGSL file and twin share.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name { .. } => stringify!($module)),* }
            }

            /// Its name with how it is composed, for people: `matmul, bits`.
            pub fn label(self) -> String {
                let variant: String = match self {
                    $(Self::$name $(($variant))? => kernels!(@label $($variant)?)),*
                };
                if variant.is_empty() { self.name().into() } else { format!("{}, {variant}", self.name()) }
            }

            /// The largest error against its twin, as a share of the twin's largest value.
            pub fn bound(self) -> f64 {
                match self { $(Self::$name { .. } => $module::BOUND),* }
            }

            fn declaration(self) -> Declaration {
                match self { $(Self::$name $(($variant))? => $module::declare($($variant)?)),* }
            }

            fn source(self) -> &'static str {
                match self {
                    $(Self::$name { .. } => {
                        include_str!(concat!("../../wgsl/kernels/", stringify!($module), ".wgsl"))
                    })*
                }
            }
        }

        /// One plain CPU twin per kernel: the definition that every WGSL and SIMD kernel is compared with.
        /// Two kernels that compute the same share one.
        ///
        /// Loops as written in the formula, f32 storage, f64 accumulation, arguments in the order of the
        /// `Backend` operation of the same name. Activations are row-major, one row per token; the
        /// documents of a batch lie end to end and `positions` holds each token's index in its document.
        /// A twin panics where lengths disagree: it runs in tests, on data that the test made.
        pub mod twins {
            $(pub use super::$module::twin as $module;)*
        }
    };
    (@all $name:ident) => { vec![Self::$name] };
    (@all $name:ident $kind:ty) => { <$kind>::all().into_iter().map(Self::$name).collect() };
    (@label) => { String::new() };
    (@label $variant:ident) => { $variant.label() };
}

kernels! {
    add: Add,
    attention: Attention,
    attention_coop: AttentionCoop(tiles: HeadTiles),
    bias: Bias,
    causal_conv: CausalConv,
    chunk_tiles: ChunkTiles,
    decay_gates: DecayGates,
    delta_chunk: DeltaChunk(heads: Heads),
    delta_chunk_coop: DeltaChunkCoop(tiles: KeyTiles),
    delta_rule: DeltaRule(heads: Heads),
    delta_rule_coop: DeltaRuleCoop(tiles: KeyTiles),
    embed: Embed(codec: Codec),
    gated_norm: GatedNorm,
    head_loss: HeadLoss,
    head_norm: HeadNorm,
    l2_norm: L2Norm,
    matmul: Matmul(codec: Codec),
    matmul_coop: MatmulCoop(staging: Staging),
    matmul_f16: MatmulF16(codec: Codec),
    rms_norm: RmsNorm,
    rotary: Rotary,
    round_rows: RoundRows,
    scatter: Scatter,
    sigmoid_gate: SigmoidGate,
    split_heads: SplitHeads,
    swiglu: Swiglu,
    to_f16: ToF16,
    weight_tiles: WeightTiles(codec: Codec),
}

impl Kernel {
    /// How the weights in group 1 are stored, for kernels that have any.
    pub fn codec(self) -> Option<Codec> {
        self.declaration().codec
    }

    /// The bindings of group 0, in order.
    pub fn bindings(self) -> &'static [Access] {
        self.declaration().bindings
    }

    /// The uniform block of group 0.
    pub fn layout(self) -> Layout {
        self.declaration().layout
    }

    /// Whether it multiplies through cooperative matrices.
    pub fn is_cooperative(self) -> bool {
        self.declaration().is_cooperative
    }

    /// Its cases, if it takes each row by itself.
    pub fn trials(self) -> Vec<Trial> {
        (self.declaration().trials)()
    }
}

/// The whole WGSL module of a kernel: what it builds on, then the kernel. The entry point is `main`.
pub fn compose(kernel: Kernel) -> String {
    let Declaration { mut parts, repeats, .. } = kernel.declaration();
    let own = Part::new(kernel.source());
    parts.push(repeats.into_iter().fold(own, |part, (name, count)| part.repeating(name, count)));
    parts.iter().map(Part::compose).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::{fs, path::Path};

    use super::*;

    fn files(folder: &str) -> BTreeSet<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wgsl").join(folder);
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let read = |path: std::path::PathBuf| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        };
        paths.map(read).collect()
    }

    #[test]
    fn every_file_of_a_kernel_is_in_the_list() {
        let listed: BTreeSet<String> = Kernel::all().into_iter().map(|k| k.name().to_owned()).collect();
        let found: BTreeSet<String> = files("kernels").into_iter().map(|(name, _)| name).collect();
        assert_eq!(listed, found);
    }

    #[test]
    fn every_part_is_in_a_kernel() {
        let modules: Vec<String> = Kernel::all().into_iter().map(compose).collect();
        for (name, text) in files("parts").into_iter().chain(files("codecs")) {
            let first = text.lines().next().unwrap();
            assert!(first.starts_with("// "), "{name} does not begin with a comment");
            assert!(modules.iter().any(|module| module.contains(first)), "no kernel has {name}");
        }
    }

    #[test]
    fn every_way_is_composed_once() {
        let (all, modules) = (Kernel::all(), Kernel::all().into_iter().map(compose));
        assert_eq!(all.len(), modules.collect::<BTreeSet<_>>().len());
        for head_dim in [80, 96, 112, 192] {
            assert!(all.contains(&Kernel::AttentionCoop(HeadTiles::of(head_dim).unwrap())));
        }
        assert_eq!([0, 8, 24, 272].map(HeadTiles::of), [None; 4]);
    }
}
