//! Uploads through a ring of staging buffers: while the device copies out of some, the next is filled.
//! wgpu's own `write_buffer` allocates and maps one for each call, which takes longer than filling it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rayon::prelude::*;

use super::handle::{DeviceBuffer, Handle};
use crate::backend::Result;
use crate::clock::Moment;

/// Bytes of one staging buffer.
pub(super) const STAGING_BYTES: u64 = 16 << 20;
/// Most staging buffers.
const STAGING_COUNT: usize = 4;

/// Bytes that one thread copies at a time.
const BYTES_OF_A_THREAD: usize = 1 << 20;

/// The staging buffers of a device.
#[derive(Default)]
pub(super) struct Uploads {
    filling: Option<Filling>,
    /// What the device copies out of, first submitted first.
    submitted: VecDeque<Submitted>,
    /// Seconds spent on copying into staging buffers, and on waiting for the device to be done with one.
    pub copying: f64,
    pub waiting: f64,
}

/// A mapped buffer, and where what it holds so far shall go.
struct Filling {
    stored: DeviceBuffer,
    used: u64,
    copies: Vec<Copy>,
}

struct Copy {
    from: u64,
    to: wgpu::Buffer,
    offset: u64,
    bytes: u64,
}

/// A buffer that is mapped again when the device is done with it.
struct Submitted {
    stored: DeviceBuffer,
    submission: wgpu::SubmissionIndex,
    mapped: Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
}

impl Uploads {
    /// Brings `bytes`, a multiple of 4, on the way to `to`. They are there for what is submitted after
    /// [`Uploads::submit`].
    pub fn write(
        &mut self,
        handle: &Arc<Handle>,
        to: &DeviceBuffer,
        mut offset: u64,
        mut bytes: &[u8],
    ) -> Result<()> {
        while !bytes.is_empty() {
            let mut filling = match self.filling.take() {
                Some(filling) => filling,
                None => Filling { stored: self.next(handle)?, used: 0, copies: Vec::new() },
            };
            let room = usize::try_from(STAGING_BYTES - filling.used).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            let (from, length) = (filling.used, now.len() as u64);
            let start = Moment::now();
            let mut view = filling
                .stored
                .buffer
                .slice(from..from + length)
                .get_mapped_range_mut()
                .map_err(|error| handle.error(&format!("staging: {error}")))?;
            copy(view.slice(..), now);
            drop(view);
            self.copying += start.seconds();
            filling.copies.push(Copy { from, to: to.buffer.clone(), offset, bytes: length });
            filling.used = (from + length).next_multiple_of(wgpu::MAP_ALIGNMENT);
            let is_full = filling.used == STAGING_BYTES;
            self.filling = Some(filling);
            if is_full {
                self.submit(handle);
            }
            (offset, bytes) = (offset + length, later);
        }
        Ok(())
    }

    /// Submits the copies of what was written so far.
    pub fn submit(&mut self, handle: &Arc<Handle>) {
        let Some(Filling { stored, copies, .. }) = self.filling.take() else { return };
        let (sender, mapped) = channel();
        let submission = handle.call(|device, queue| {
            stored.buffer.unmap();
            let mut encoder = device.create_command_encoder(&Default::default());
            for Copy { from, to, offset, bytes } in copies {
                encoder.copy_buffer_to_buffer(&stored.buffer, from, &to, offset, bytes);
            }
            let submission = queue.submit([encoder.finish()]);
            stored.buffer.slice(..).map_async(wgpu::MapMode::Write, move |result| {
                // The receiver is gone only when the ring is.
                let _ = sender.send(result);
            });
            submission
        });
        self.submitted.push_back(Submitted { stored, submission, mapped });
    }

    /// Gives back the memory of what was submitted.
    pub fn clear(&mut self) {
        self.submitted.clear();
    }

    /// A mapped buffer: a new one, or the one that was submitted first.
    fn next(&mut self, handle: &Arc<Handle>) -> Result<DeviceBuffer> {
        let is_full = self.submitted.len() >= STAGING_COUNT;
        let Some(Submitted { stored, submission, mapped }) = self.submitted.pop_front_if(|_| is_full) else {
            let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
            return handle.allocate(STAGING_BYTES, usage, true);
        };
        let start = Moment::now();
        handle.wait(Some(submission))?;
        let failed =
            |error: &dyn std::fmt::Display| handle.error(&format!("mapping a staging buffer: {error}"));
        mapped.recv().map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        self.waiting += start.seconds();
        Ok(stored)
    }
}

/// Fills a staging buffer, on several threads: one thread writes slower to such memory than a GPU copies out of it.
fn copy(to: wgpu::WriteOnly<'_, [u8]>, bytes: &[u8]) {
    let (pieces, mut rest) = to.into_chunks::<BYTES_OF_A_THREAD>();
    let (whole, last) = bytes.as_chunks::<BYTES_OF_A_THREAD>();
    let pieces: Vec<_> = pieces.into_iter().zip(whole).collect();
    pieces
        .into_par_iter()
        .for_each(|(piece, bytes)| wgpu::WriteOnly::<[u8]>::from(piece).copy_from_slice(bytes));
    rest.copy_from_slice(last);
}
