//! Where the device's time goes: each dispatch in a pass of its own, between two timestamps.

use std::collections::HashMap;
use std::sync::Arc;

use bitgauge_core::{Error, ErrorKind};
use bitgauge_shaders::Kernel;

use super::device::Device;
use super::handle::{DeviceBuffer, Handle};
use crate::backend::{KernelTime, Result};

/// Bytes of one timestamp.
const TIMESTAMP: u64 = 8;

/// What a dispatch does.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    /// Floating-point operations, about.
    pub flop: u64,
    /// Bytes of activations that are bound.
    pub bytes: u64,
}

/// Timestamps, and their sums per kernel.
pub(super) struct Timing {
    queries: wgpu::QuerySet,
    resolved: DeviceBuffer,
    sums: HashMap<Kernel, KernelTime>,
}

impl Timing {
    /// Room for the timestamps of one submission of at most `dispatches` dispatches. Fails where the device has none.
    pub fn new(handle: &Arc<Handle>, dispatches: usize) -> Result<Self> {
        if !handle.call(|device, _| device.features()).contains(wgpu::Features::TIMESTAMP_QUERY) {
            let what = format!("{} has no timestamps, so kernels can't be timed", handle.info);
            return Err(Error::new(ErrorKind::Unsupported, what).into());
        }
        let count = 2 * dispatches as u32;
        let ty = wgpu::QueryType::Timestamp;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let descriptor = wgpu::QuerySetDescriptor { label: None, ty, count };
        Ok(Self {
            queries: handle.call(|device, _| device.create_query_set(&descriptor)),
            resolved: handle.create(u64::from(count) * TIMESTAMP, usage)?,
            sums: HashMap::new(),
        })
    }

    /// A pass for dispatch `index` of a submission.
    pub fn pass(&self, index: u32) -> wgpu::ComputePassDescriptor<'_> {
        wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &self.queries,
                beginning_of_pass_write_index: Some(2 * index),
                end_of_pass_write_index: Some(2 * index + 1),
            }),
        }
    }

    /// Records the end of a submission of so many dispatches.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder, dispatches: u32) {
        encoder.resolve_query_set(&self.queries, 0..2 * dispatches, &self.resolved.buffer, 0);
    }

    /// Waits for the submission and adds its dispatches, in order.
    pub fn add(
        &mut self,
        device: &mut Device,
        dispatches: impl ExactSizeIterator<Item = (Kernel, Cost)>,
    ) -> Result<()> {
        let bytes =
            pollster::block_on(device.download(&self.resolved, 2 * TIMESTAMP * dispatches.len() as u64))?;
        let period = f64::from(device.handle.call(|_, queue| queue.get_timestamp_period())) * 1e-9;
        let ticks: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|tick| u64::from_ne_bytes(*tick)).collect();
        for ((kernel, cost), ticks) in dispatches.zip(ticks.as_chunks::<2>().0) {
            let sum = self.sums.entry(kernel).or_insert_with(|| KernelTime::new(kernel.label()));
            sum.dispatches += 1;
            sum.seconds += ticks[1].saturating_sub(ticks[0]) as f64 * period;
            sum.flop += cost.flop as f64;
            sum.bytes += cost.bytes as f64;
        }
        Ok(())
    }

    /// The sums since the last call, longest first.
    pub fn take(&mut self) -> Vec<KernelTime> {
        let mut sums: Vec<_> = self.sums.drain().map(|(_, sum)| sum).collect();
        sums.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        sums
    }
}
