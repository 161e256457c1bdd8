//! The twin of `gpu::uploads` in a browser, where a write is one copy on its way to the process that has the GPU, and
//! a mapped buffer would be two.

use std::sync::Arc;

use super::handle::{DeviceBuffer, Handle};
use crate::backend::Result;

/// What the device would copy out of: nothing is kept.
#[derive(Default)]
pub(super) struct Uploads {
    /// Seconds spent on copying, and on waiting: neither is measured.
    pub copying: f64,
    pub waiting: f64,
}

impl Uploads {
    /// Brings `bytes`, a multiple of 4, on the way to `to`.
    pub fn write(
        &mut self,
        handle: &Arc<Handle>,
        to: &DeviceBuffer,
        offset: u64,
        bytes: &[u8],
    ) -> Result<()> {
        handle.call(|_, queue| queue.write_buffer(&to.buffer, offset, bytes));
        Ok(())
    }

    /// They are submitted as they are written.
    pub fn submit(&mut self, _: &Arc<Handle>) {}

    /// There is no memory to give back.
    pub fn clear(&mut self) {}
}
