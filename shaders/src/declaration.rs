//! What the file of a kernel declares.

use crate::kernels::Kernel;
use crate::params::{Layout, Params};
use crate::parts::Part;
use crate::trial::Trial;
use crate::variants::Codec;

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

/// A kernel as its file declares it. The text of its own comes from the WGSL file of its name.
pub(crate) struct Declaration {
    /// The uniform block of group 0.
    pub layout: Layout,
    /// The bindings of group 0, in order.
    pub bindings: &'static [Access],
    /// How the weights in group 1 are stored, for kernels that have any.
    pub codec: Option<Codec>,
    /// Whether it multiplies through cooperative matrices.
    pub is_cooperative: bool,
    /// What comes before its own text.
    pub parts: Vec<Part>,
    /// The names in its own text that stand for numbers, and how many: see [`Part::repeating`].
    pub repeats: Vec<(&'static str, u8)>,
    /// Its cases, if it takes each row by itself: the GPU suite runs them as they are.
    pub trials: fn() -> Vec<Trial>,
}

impl Declaration {
    /// A kernel with this uniform block and these bindings, and nothing else.
    pub fn new<P: Params>(bindings: &'static [Access]) -> Self {
        Self {
            layout: P::LAYOUT,
            bindings,
            codec: None,
            is_cooperative: false,
            parts: Vec::new(),
            repeats: Vec::new(),
            trials: Vec::new,
        }
    }
}

/// How rows of activations lie in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Values that count.
    pub columns: u32,
    /// Values from the beginning of a row to that of the next, a multiple of 4.
    pub stride: u32,
}

impl Row {
    /// Whole heads of `head_dim` channels in a row.
    pub(crate) fn heads(self, head_dim: u32) -> u32 {
        self.columns / head_dim
    }

    /// Quads from the beginning of a row to that of the next.
    pub(crate) fn quads(self) -> u32 {
        self.stride / 4
    }
}

/// A kernel that takes each row by itself, one workgroup a row, and what it is told.
#[derive(Debug, Clone)]
pub struct Call {
    /// The kernel.
    pub kernel: Kernel,
    /// The bytes of its uniform block.
    pub params: Vec<u8>,
    /// Floating-point operations of a row, about.
    pub flops_per_row: u64,
}

impl Call {
    /// A kernel that takes about `flops` operations for each of `values` values of a row.
    pub(crate) fn new(kernel: Kernel, params: impl Params, flops: u64, values: u32) -> Self {
        Self { kernel, params: params.bytes(), flops_per_row: flops * u64::from(values) }
    }
}
