//! One backend's handle on an open device, which others may use, too: its errors, and the bytes of its buffers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bitgauge_core::{Error, ErrorKind};

use super::adapters::AdapterInfo;
use super::open::{OpenDevice, describe, lock};
use super::scopes::scoped;
use crate::backend::{BackendError, Result};

/// What calls to the device need, from any of the backend's threads.
#[derive(Debug)]
pub(super) struct Handle {
    open: Arc<OpenDevice>,
    /// What the device's adapter is and can do.
    pub info: AdapterInfo,
    /// The first error since the last look.
    fault: Mutex<Option<Error>>,
    allocated: AtomicU64,
    most_allocated: AtomicU64,
}

/// A buffer on the device, counted while it lives.
#[derive(Debug)]
pub(super) struct DeviceBuffer {
    pub buffer: wgpu::Buffer,
    handle: Arc<Handle>,
}

impl Drop for DeviceBuffer {
    fn drop(&mut self) {
        self.handle.allocated.fetch_sub(self.buffer.size(), Ordering::Relaxed);
    }
}

impl Handle {
    pub fn new(open: Arc<OpenDevice>, info: AdapterInfo) -> Arc<Self> {
        let (allocated, most_allocated) = Default::default();
        Arc::new(Self { open, info, fault: Mutex::default(), allocated, most_allocated })
    }

    /// Calls the device. An error that it reports of the call is kept for [`Handle::check`] of this backend,
    /// whatever others do meanwhile: error scopes belong to their thread.
    pub fn call<T>(&self, call: impl FnOnce(&wgpu::Device, &wgpu::Queue) -> T) -> T {
        scoped(&self.open, call, |error| {
            lock(&self.fault).get_or_insert_with(|| describe(error));
        })
    }

    /// The device.
    pub fn open(&self) -> &OpenDevice {
        &self.open
    }

    /// Fails if the device reported an error of this backend since the last call, or is lost.
    pub fn check(&self) -> Result<()> {
        let own = || lock(&self.fault).take();
        match self.open.lost().or_else(own).or_else(|| self.open.take_stray()) {
            Some(fault) => Err(fault.within(&self.info.name).into()),
            None => Ok(()),
        }
    }

    /// Waits for a submission, or for all of every backend on the device.
    pub fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        self.waited(|| self.open.device.poll(wgpu::PollType::Wait { submission_index, timeout: None }))
    }

    fn waited(
        &self,
        poll: impl FnOnce() -> std::result::Result<wgpu::PollStatus, wgpu::PollError>,
    ) -> Result<()> {
        // wgpu 30 panics where the device is lost while it waits.
        let result = catch_unwind(AssertUnwindSafe(poll));
        self.check()?;
        match result {
            Ok(result) => result.map(drop).map_err(|error| self.error(&format!("waiting: {error}"))),
            Err(_) => Err(self.error("the device was lost while waiting for it")),
        }
    }

    /// A buffer of at least `bytes`, and at least 16 so that an absent part can be bound.
    pub fn create(self: &Arc<Self>, bytes: u64, usage: wgpu::BufferUsages) -> Result<DeviceBuffer> {
        let (size, most) = (bytes.max(16).next_multiple_of(4), self.info.max_buffer_bytes);
        if size > most {
            return Err(Error::new(ErrorKind::TooLarge, "a buffer is over the device's limit")
                .within(&self.info.name)
                .expected_found(format!("at most {most} bytes"), size)
                .hint("keep fewer tokens in flight")
                .into());
        }
        self.allocate(size, usage, false)
    }

    /// A buffer of `size` bytes, a multiple of 4; if `mapped_at_creation`, the host can write to it.
    pub fn allocate(
        self: &Arc<Self>,
        size: u64,
        usage: wgpu::BufferUsages,
        mapped_at_creation: bool,
    ) -> Result<DeviceBuffer> {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation };
        let buffer = self.call(|device, _| device.create_buffer(&descriptor));
        let before = self.allocated.fetch_add(size, Ordering::Relaxed);
        self.most_allocated.fetch_max(before + size, Ordering::Relaxed);
        let stored = DeviceBuffer { buffer, handle: Arc::clone(self) };
        self.check()?;
        Ok(stored)
    }

    /// Bytes of this backend's buffers that live.
    pub fn allocated_bytes(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// Most bytes of this backend's buffers that lived at the same time.
    pub fn most_allocated_bytes(&self) -> u64 {
        self.most_allocated.load(Ordering::Relaxed)
    }

    /// What went wrong on this adapter.
    pub fn error(&self, what: &str) -> BackendError {
        Error::new(ErrorKind::Io, what).within(&self.info.name).into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::gpu::adapters::{AdapterChoice, choose, info};
    use crate::gpu::products::Products;

    fn handle() -> Arc<Handle> {
        let adapter = choose(&AdapterChoice::Best).expect("a GPU adapter; a software driver will do");
        let info = AdapterInfo { name: "gpu".into(), ..info(adapter) };
        Handle::new(OpenDevice::on(adapter, Products::F32).expect("a device"), info)
    }

    /// A buffer that can't be had: what reads it back can't be a kernel's.
    fn misuse(handle: &Handle) {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE;
        let descriptor = wgpu::BufferDescriptor { label: None, size: 16, usage, mapped_at_creation: false };
        handle.call(|device, _| drop(device.create_buffer(&descriptor)));
    }

    #[test]
    fn an_error_is_told_to_whom_it_belongs_and_once() {
        let [one, other] = [handle(), handle()];
        assert!(Arc::ptr_eq(&one.open, &other.open));
        misuse(&one);
        other.check().expect("no error of this one");
        let error = one.check().expect_err("an error").to_string();
        assert!(
            error.starts_with("invalid use of the device: ") && error.ends_with("where:    gpu"),
            "{error}"
        );
        one.check().expect("no second error");
    }

    /// While one thread makes errors all the time, another makes none.
    #[test]
    fn threads_do_not_see_each_others_errors() {
        let [one, other] = [handle(), handle()];
        let both = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..200 {
                    both.wait();
                    misuse(&one);
                    one.check().expect_err("an error");
                }
            });
            for _ in 0..200 {
                both.wait();
                other.create(64, wgpu::BufferUsages::STORAGE).expect("a buffer");
            }
        });
    }

    #[test]
    fn bytes_are_counted_for_whom_they_belong_to() {
        let [one, other] = [handle(), handle()];
        let stored = one.create(64, wgpu::BufferUsages::STORAGE).expect("a buffer");
        assert_eq!([one.allocated_bytes(), other.allocated_bytes()], [64, 0]);
        drop(stored);
        assert_eq!(
            [one.allocated_bytes(), one.most_allocated_bytes(), other.most_allocated_bytes()],
            [0, 64, 0]
        );
    }

    /// What would otherwise end the process, if the device is lost while it is waited for.
    #[test]
    fn a_panic_while_waiting_is_an_error() {
        let handle = handle();
        let error =
            handle.waited(|| panic!("Error in Device::poll: Parent device is lost")).expect_err("an error");
        assert_eq!(error.to_string(), "the device was lost while waiting for it\n  where:    gpu");
        handle.waited(|| Ok(wgpu::PollStatus::QueueEmpty)).expect("no error");
    }
}
