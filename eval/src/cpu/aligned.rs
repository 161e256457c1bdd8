//! Memory for vector loads.

use crate::memory::ask;

/// Floats that start on a cache line: a load across two lines costs as much as two loads.
pub(super) struct Aligned {
    values: Vec<f32>,
    start: usize,
    len: usize,
}

impl Aligned {
    const LINE_BYTES: usize = 64;
    const LINE: usize = Self::LINE_BYTES / size_of::<f32>();

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let values = vec![0.0; len + Self::LINE];
        Self { start: values.as_ptr().align_offset(Self::LINE_BYTES), values, len }
    }

    /// `len` zeros, or `None` when there is no memory for them.
    pub fn try_zeros(len: usize) -> Option<Self> {
        // Asked for and given back: `zeros` gets pages that the system zeroes on first use.
        let len_with_line = len.checked_add(Self::LINE)?;
        ask(|| Vec::<f32>::new().try_reserve_exact(len_with_line)).ok()?;
        Some(Self::zeros(len))
    }

    pub fn as_slice(&self) -> &[f32] {
        &self.values[self.start..][..self.len]
    }

    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.values[self.start..][..self.len]
    }
}
