//! A kernel that takes each row by itself, with its parameters.

use crate::kernels::Kernel;
use crate::params::Params;

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
