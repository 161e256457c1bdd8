//! A backend's device: opening it, and the bytes that go in and out.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::adapters::{AdapterChoice, AdapterInfo, choose, info};
use super::open::OpenDevice;
use super::products::{Precision, Products};
use super::share::Share;
pub(super) use super::share::Stored;
use super::staging::Staging;
use crate::BackendError;

type Result<T> = std::result::Result<T, BackendError>;

/// Uploads of fewer bytes are left to wgpu.
const STAGED_BYTES: usize = 16 << 10;

/// A backend's access to its device.
pub(super) struct Device {
    share: Arc<Share>,
    pub info: AdapterInfo,
    /// How it multiplies by weights.
    pub products: Products,
    staging: Staging,
}

impl Device {
    /// Takes a share of the chosen adapter's device.
    pub fn open(choice: &AdapterChoice, precision: Precision) -> Result<Self> {
        let adapter = choose(choice)?;
        let info = info(adapter);
        let products = Products::choose(precision, &info)?;
        let share = Share::new(OpenDevice::on(adapter, products)?, info.name.clone());
        Ok(Self { share, info, products, staging: Staging::default() })
    }

    /// What other threads need to call the device for this backend.
    pub fn share(&self) -> &Arc<Share> {
        &self.share
    }

    /// Calls the device; see [`Share::call`].
    pub fn call<T>(&self, call: impl FnOnce(&wgpu::Device, &wgpu::Queue) -> T) -> T {
        self.share.call(call)
    }

    /// Fails if the device reported an error of this backend since the last call, or is lost.
    pub fn check(&self) -> Result<()> {
        self.share.check()
    }

    /// Bytes of all buffers that live.
    pub fn allocated_bytes(&self) -> u64 {
        self.share.allocated_bytes()
    }

    /// Most bytes of all buffers that lived at the same time.
    pub fn most_allocated_bytes(&self) -> u64 {
        self.share.most_allocated_bytes()
    }

    /// A buffer of at least `bytes`, and at least 16 so that an absent part can be bound.
    pub fn create(&self, bytes: u64, usage: wgpu::BufferUsages) -> Result<Stored> {
        let size = bytes.max(16).next_multiple_of(4);
        if size > self.info.max_buffer_bytes {
            return Err(BackendError(format!(
                "{}: a buffer of {size} bytes is over the device's limit of {}; keep fewer tokens in flight",
                self.info.name, self.info.max_buffer_bytes
            )));
        }
        self.share.create(size, usage, false)
    }

    /// A buffer that the host can write to.
    pub fn create_mapped(&self, size: u64, usage: wgpu::BufferUsages) -> Result<Stored> {
        self.share.create(size, usage, true)
    }

    /// Writes bytes, a multiple of 4, to a buffer that no recorded dispatch uses.
    pub fn write(&mut self, stored: &Stored, offset: u64, bytes: &[u8]) -> Result<()> {
        if bytes.len() < STAGED_BYTES {
            self.call(|_, queue| queue.write_buffer(&stored.buffer, offset, bytes));
            return self.check();
        }
        let mut staging = std::mem::take(&mut self.staging);
        let result = staging.write(self, stored, offset, bytes);
        self.staging = staging;
        result.and_then(|()| self.check())
    }

    /// Sees to it that what was written is there for what is submitted next.
    pub fn submit_uploads(&mut self) {
        let mut staging = std::mem::take(&mut self.staging);
        staging.submit(self);
        self.staging = staging;
    }

    /// The same, and gives back the memory that uploads needed.
    pub fn finish_uploads(&mut self) {
        self.submit_uploads();
        self.staging.clear();
    }

    /// Time spent on copying into staging buffers, and on waiting for one.
    pub fn upload_times(&self) -> [Duration; 2] {
        [self.staging.copying, self.staging.waiting]
    }

    /// Creates a buffer that holds these bytes, which are padded to a multiple of 4.
    pub fn upload(&mut self, bytes: &[u8], usage: wgpu::BufferUsages) -> Result<Stored> {
        let stored = self.create(bytes.len() as u64, usage | wgpu::BufferUsages::COPY_DST)?;
        let whole = bytes.len() / 4 * 4;
        self.write(&stored, 0, &bytes[..whole])?;
        if whole < bytes.len() {
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.write(&stored, whole as u64, &last)?;
        }
        Ok(stored)
    }

    /// The first `bytes` bytes of a buffer, after everything that was submitted.
    pub fn download(&mut self, from: &Stored, bytes: u64) -> Result<Vec<u8>> {
        if bytes == 0 {
            return Ok(Vec::new());
        }
        self.submit_uploads();
        let to = self.create(bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)?;
        let (sender, receiver) = channel();
        let slice = to.buffer.slice(..bytes);
        let submission = self.call(|device, queue| {
            let mut encoder = device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(&from.buffer, 0, &to.buffer, 0, bytes);
            let submission = queue.submit([encoder.finish()]);
            slice.map_async(wgpu::MapMode::Read, move |result| {
                // The receiver is gone only when the wait below has failed already.
                let _ = sender.send(result);
            });
            submission
        });
        self.wait(Some(submission))?;
        let failed = |e: &dyn std::fmt::Display| self.share.error(&format!("reading back: {e}"));
        receiver.recv().map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
        let view = slice.get_mapped_range().map_err(|e| failed(&e))?;
        Ok(view.to_vec())
    }

    /// Waits for a submission, or for all.
    pub fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        self.share.wait(submission_index)
    }
}
