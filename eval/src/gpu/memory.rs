//! Activations on the device, and the buffers that are kept to be used again.

use std::ops;
use std::sync::{Arc, Mutex, PoisonError};

use bitgauge_core::{Error, ErrorKind};
use bitgauge_shaders::Row;
use bitgauge_shaders::kernels::to_f16;

use super::handle::{DeviceBuffer, Handle};
use super::recorder::{BufferRange, MAX_WORKGROUPS};
use crate::backend::{BackendError, Result, wrong_shape};

/// Idle buffers kept: about as many as two kinds of layers use by turns. Where fewer are kept, some are made anew in each
/// batch, and the GPU waits for that.
const IDLE_COUNT: usize = 32;
/// Rows of activations are padded to this many f32, so that a binding may begin at any row.
const ROW_ELEMENTS: usize = 64;
/// Buffers have room for a multiple of this many rows: cooperative matrices are stored whole.
pub(super) const ROW_BLOCK: usize = to_f16::TILE as usize;

/// Activations `[rows, cols]` f32, each row padded; what is in the padding is unspecified.
#[derive(Debug)]
pub struct GpuBuffer {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) stored: Arc<DeviceBuffer>,
    pool: Pool,
}

/// Buffers that wait to be used again. Work recorded on a buffer's old contents runs before work
/// that is recorded on its new ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Arc<DeviceBuffer>>>>);

impl Pool {
    /// A buffer for `[rows, cols]`, with unspecified contents.
    pub fn take(&self, handle: &Arc<Handle>, rows: usize, cols: usize) -> Result<GpuBuffer> {
        let stride = cols.next_multiple_of(ROW_ELEMENTS) as u64;
        let bytes = (rows as u64)
            .checked_next_multiple_of(ROW_BLOCK as u64)
            .and_then(|rows| rows.checked_mul(stride * 4))
            .ok_or_else(|| {
                Error::new(ErrorKind::TooLarge, "a buffer is too large")
                    .expected_found("at most 2^64 bytes", format!("{rows} x {cols} values"))
            })?
            .max(16);
        let stored = match self.reuse(bytes) {
            Some(stored) => stored,
            None => Arc::new(self.create(handle, bytes)?),
        };
        Ok(GpuBuffer { rows, cols, stored, pool: self.clone() })
    }

    fn create(&self, handle: &Arc<Handle>, bytes: u64) -> Result<DeviceBuffer> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        handle.create(bytes, usage).or_else(|_| {
            self.idle().clear();
            handle.wait(None)?;
            handle.create(bytes, usage)
        })
    }

    /// The smallest idle buffer that has room, unless a fifth of it would lie idle.
    fn reuse(&self, bytes: u64) -> Option<Arc<DeviceBuffer>> {
        let mut idle = self.idle();
        let sizes = idle.iter().map(|stored| stored.buffer.size()).enumerate();
        let fitting = sizes.filter(|(_, size)| (bytes..=bytes.saturating_add(bytes / 4)).contains(size));
        let (index, _) = fitting.min_by_key(|(_, size)| *size)?;
        Some(idle.remove(index))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Arc<DeviceBuffer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GpuBuffer {
    fn drop(&mut self) {
        let mut idle = self.pool.idle();
        idle.push(Arc::clone(&self.stored));
        if idle.len() > IDLE_COUNT {
            idle.remove(0);
        }
    }
}

impl GpuBuffer {
    /// f32 from one row to the next.
    pub(super) fn stride(&self) -> usize {
        self.cols.next_multiple_of(ROW_ELEMENTS)
    }

    /// How its rows lie.
    pub fn row(&self) -> Row {
        Row { columns: self.cols as u32, stride: self.stride() as u32 }
    }

    /// Quads from one row to the next.
    pub(super) fn stride_quads(&self) -> usize {
        self.stride() / 4
    }

    /// Bytes from one row to the next.
    pub(super) fn row_bytes(&self) -> u64 {
        self.stride() as u64 * 4
    }

    /// These rows, to be bound.
    pub(super) fn range(&self, rows: &ops::Range<usize>) -> BufferRange<'_> {
        let bytes = rows.len() as u64 * self.row_bytes();
        BufferRange { buffer: &self.stored, offset: rows.start as u64 * self.row_bytes(), bytes }
    }

    /// These rows and the room up to the next multiple of [`ROW_BLOCK`].
    pub(super) fn block_range(&self, rows: &ops::Range<usize>) -> BufferRange<'_> {
        self.range(&(rows.start..rows.end.next_multiple_of(ROW_BLOCK)))
    }

    /// Fails unless the shape is this.
    pub(super) fn expect(&self, what: &str, rows: usize, cols: usize) -> Result<()> {
        if (self.rows, self.cols) == (rows, cols) {
            return Ok(());
        }
        Err(wrong_shape(what, format!("[{rows}, {cols}]"), format!("[{}, {}]", self.rows, self.cols)))
    }
}

/// What would have to be bound as a whole, and is over the limit in bytes.
pub(super) fn over_limit(what: &str, bytes: u64, limit: u64) -> BackendError {
    Error::new(ErrorKind::TooLarge, "a binding is over the device's limit")
        .within(what)
        .expected_found(format!("at most {limit} bytes"), bytes)
        .into()
}

/// Cuts `rows` rows into spans of at most `most` rows that also fit a binding of `limit` bytes and
/// one axis of a grid, each beginning at a multiple of [`ROW_BLOCK`] where more than that many fit;
/// `row_bytes` is the longest row of any buffer involved.
pub(super) fn spans(
    rows: usize,
    row_bytes: u64,
    limit: u64,
    most: usize,
) -> Result<impl Iterator<Item = ops::Range<usize>>> {
    let fitting = usize::try_from(limit / row_bytes.max(1)).unwrap_or(usize::MAX);
    if fitting == 0 {
        return Err(over_limit("a row of activations", row_bytes, limit));
    }
    let step = fitting.min(most.max(1)).min(MAX_WORKGROUPS);
    let step = if step > ROW_BLOCK { step / ROW_BLOCK * ROW_BLOCK } else { step };
    Ok((0..rows).step_by(step).map(move |start| start..rows.min(start + step)))
}
