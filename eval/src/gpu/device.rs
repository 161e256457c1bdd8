//! A backend's device: opening it, and the bytes that go in and out.

use std::sync::Arc;

use super::adapters::{AdapterChoice, choose, info, request};
use super::handle::{DeviceBuffer, Handle};
use super::open::OpenDevice;
use super::products::{Precision, Products};
use super::signal::signal;
use super::uploads::Uploads;
use crate::backend::Result;

/// Uploads of fewer bytes are left to wgpu.
const STAGED_BYTES: usize = 16 << 10;

/// A backend's access to its device.
pub(super) struct Device {
    /// What calls to it need.
    pub handle: Arc<Handle>,
    /// How it multiplies by weights.
    pub products: Products,
    uploads: Uploads,
}

impl Device {
    /// Opens the chosen adapter's device, or takes the one that is open.
    pub fn open(choice: &AdapterChoice, precision: Precision) -> Result<Self> {
        let adapter = choose(choice)?;
        let info = info(adapter);
        let products = Products::choose(precision, &info)?;
        let handle = Handle::new(OpenDevice::on(adapter, products)?, info);
        Ok(Self { handle, products, uploads: Uploads::default() })
    }

    /// Opens the fastest adapter's device, for this backend alone. An adapter without a name is called `name`.
    pub async fn request(name: &str, precision: Precision) -> Result<Self> {
        let adapter = request().await?;
        let mut info = info(&adapter);
        if info.name.is_empty() {
            name.clone_into(&mut info.name);
        }
        let products = Products::choose(precision, &info)?;
        let handle = Handle::new(OpenDevice::request(&adapter, products).await?, info);
        Ok(Self { handle, products, uploads: Uploads::default() })
    }

    /// Writes bytes, a multiple of 4, to a buffer that no recorded dispatch uses.
    pub fn write(&mut self, stored: &DeviceBuffer, offset: u64, bytes: &[u8]) -> Result<()> {
        if bytes.len() < STAGED_BYTES {
            self.handle.call(|_, queue| queue.write_buffer(&stored.buffer, offset, bytes));
        } else {
            self.uploads.write(&self.handle, stored, offset, bytes)?;
        }
        self.handle.check()
    }

    /// Sees to it that what was written is there for what is submitted next.
    pub fn submit_uploads(&mut self) {
        self.uploads.submit(&self.handle);
    }

    /// The same, and gives back the memory that uploads needed.
    pub fn finish_uploads(&mut self) {
        self.submit_uploads();
        self.uploads.clear();
    }

    /// Seconds spent on copying into staging buffers, and on waiting for one.
    pub fn upload_times(&self) -> [f64; 2] {
        [self.uploads.copying, self.uploads.waiting]
    }

    /// Creates a buffer that holds these bytes, which are padded to a multiple of 4.
    pub fn upload(&mut self, bytes: &[u8], usage: wgpu::BufferUsages) -> Result<DeviceBuffer> {
        let stored = self.handle.create(bytes.len() as u64, usage | wgpu::BufferUsages::COPY_DST)?;
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
    pub async fn download(&mut self, from: &DeviceBuffer, bytes: u64) -> Result<Vec<u8>> {
        if bytes == 0 {
            return Ok(Vec::new());
        }
        self.submit_uploads();
        let to = self.handle.create(bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)?;
        let (sender, mapped) = signal();
        let slice = to.buffer.slice(..bytes);
        let submission = self.handle.call(|device, queue| {
            let mut encoder = device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(&from.buffer, 0, &to.buffer, 0, bytes);
            let submission = queue.submit([encoder.finish()]);
            slice.map_async(wgpu::MapMode::Read, move |result| sender.send(result));
            submission
        });
        self.handle.wait(Some(submission))?;
        let failed = |e: &dyn std::fmt::Display| self.handle.error(&format!("reading back: {e}"));
        if let Err(error) = mapped.await {
            // A lost device says more than that nothing can be read from it.
            self.handle.check()?;
            return Err(failed(&error));
        }
        let view = slice.get_mapped_range().map_err(|e| failed(&e))?;
        Ok(view.to_vec())
    }
}
