//! The device: opening it, its faults, and the bytes that go in and out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::adapters::{AdapterChoice, AdapterInfo, choose, info};
use super::products::{Precision, Products};
use super::staging::Staging;
use crate::BackendError;

type Result<T> = std::result::Result<T, BackendError>;

/// Uploads of fewer bytes are left to wgpu.
const STAGED_BYTES: usize = 16 << 10;

/// The first error that the device reported since the last look, and whether it is gone for good.
#[derive(Debug, Default)]
struct Faults {
    first: Option<String>,
    lost: Option<String>,
}

/// An open device.
pub(super) struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: AdapterInfo,
    /// How it multiplies by weights.
    pub products: Products,
    faults: Arc<Mutex<Faults>>,
    allocated: Arc<AtomicU64>,
    most_allocated: AtomicU64,
    staging: Staging,
}

/// A buffer on the device, counted while it lives.
#[derive(Debug)]
pub(super) struct Stored {
    pub buffer: wgpu::Buffer,
    allocated: Arc<AtomicU64>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.allocated.fetch_sub(self.buffer.size(), Ordering::Relaxed);
    }
}

impl Device {
    /// Opens the chosen adapter with the adapter's own limits and the optional features that the
    /// precision and timing need.
    pub fn open(choice: &AdapterChoice, precision: Precision) -> Result<Self> {
        let adapter = choose(choice)?;
        let info = info(&adapter);
        let products = Products::choose(precision, &info)?;
        let timing = wgpu::Features::TIMESTAMP_QUERY & adapter.features();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("bitgauge"),
            required_features: products.features() | timing,
            required_limits: adapter.limits(),
            experimental_features: products.experimental_features(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|e| BackendError(format!("{info} can't be opened: {e}")))?;

        let faults = Arc::new(Mutex::new(Faults::default()));
        let reported = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&reported).first.get_or_insert_with(|| describe(&error));
        }));
        let gone = Arc::clone(&faults);
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                lock(&gone).lost.get_or_insert(format!("the device was lost: {message}"));
            }
        });
        Ok(Self {
            device,
            queue,
            info,
            products,
            faults,
            allocated: Arc::default(),
            most_allocated: AtomicU64::new(0),
            staging: Staging::default(),
        })
    }

    /// Fails if the device reported an error since the last call, or is lost.
    pub fn check(&self) -> Result<()> {
        let mut faults = lock(&self.faults);
        match faults.lost.clone().or_else(|| faults.first.take()) {
            Some(fault) => Err(BackendError(format!("{}: {fault}", self.info.name))),
            None => Ok(()),
        }
    }

    /// Bytes of all buffers that live.
    pub fn allocated_bytes(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// Most bytes of all buffers that lived at the same time.
    pub fn most_allocated_bytes(&self) -> u64 {
        self.most_allocated.load(Ordering::Relaxed)
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
        self.create_as(size, usage, false)
    }

    /// A buffer that the host can write to.
    pub fn create_mapped(&self, size: u64, usage: wgpu::BufferUsages) -> Result<Stored> {
        self.create_as(size, usage, true)
    }

    fn create_as(&self, size: u64, usage: wgpu::BufferUsages, mapped_at_creation: bool) -> Result<Stored> {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation };
        let buffer = self.device.create_buffer(&descriptor);
        let before = self.allocated.fetch_add(size, Ordering::Relaxed);
        self.most_allocated.fetch_max(before + size, Ordering::Relaxed);
        let stored = Stored { buffer, allocated: Arc::clone(&self.allocated) };
        self.check()?;
        Ok(stored)
    }

    /// Writes bytes, a multiple of 4, to a buffer that no recorded dispatch uses.
    pub fn write(&mut self, stored: &Stored, offset: u64, bytes: &[u8]) -> Result<()> {
        if bytes.len() < STAGED_BYTES {
            self.queue.write_buffer(&stored.buffer, offset, bytes);
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
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&from.buffer, 0, &to.buffer, 0, bytes);
        self.queue.submit([encoder.finish()]);

        let slice = to.buffer.slice(..bytes);
        let (sender, receiver) = channel();
        slice.map_async(wgpu::MapMode::Read, move |result| {
            // The receiver is gone only when the wait below has failed already.
            let _ = sender.send(result);
        });
        self.wait(None)?;
        self.check()?;
        let failed =
            |e: &dyn std::fmt::Display| BackendError(format!("{}: reading back: {e}", self.info.name));
        receiver.recv().map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
        let view = slice.get_mapped_range().map_err(|e| failed(&e))?;
        Ok(view.to_vec())
    }

    /// Waits for a submission, or for all.
    pub fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let result = self.device.poll(wgpu::PollType::Wait { submission_index, timeout: None });
        self.check()?;
        result.map(drop).map_err(|e| BackendError(format!("{}: waiting: {e}", self.info.name)))
    }
}

fn lock(faults: &Mutex<Faults>) -> std::sync::MutexGuard<'_, Faults> {
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}

fn describe(error: &wgpu::Error) -> String {
    match error {
        wgpu::Error::OutOfMemory { .. } => "out of memory; keep fewer tokens in flight".into(),
        wgpu::Error::Validation { description, .. } => format!("invalid use of the device: {description}"),
        wgpu::Error::Internal { description, .. } => format!("internal error: {description}"),
    }
}
