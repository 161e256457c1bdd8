//! The twin of `gpu::scopes` in a browser, where an error comes later: the device reports it as one outside of any call, and
//! the next look of [`Handle::check`](super::handle::Handle::check) finds it.

use std::collections::VecDeque;

use super::open::OpenDevice;
use super::signal::{Signal, signal};

/// Calls the device.
pub(super) fn scoped<T>(
    open: &OpenDevice,
    call: impl FnOnce(&wgpu::Device, &wgpu::Queue) -> T,
    _: impl FnMut(&wgpu::Error),
) -> T {
    call(&open.device, &open.queue)
}

/// Waits while too much is queued: no operation can.
pub(super) struct Throttle(VecDeque<Signal<()>>);

/// How many breaths may pass before the device is done with what was queued at the first of them.
const BREATHS: usize = 2;

impl Throttle {
    /// Nothing is queued.
    pub fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Waits, if it must.
    pub async fn breathe(&mut self, open: &OpenDevice) {
        let (sender, done) = signal();
        open.queue.on_submitted_work_done(move || sender.send(()));
        self.0.push_back(done);
        if self.0.len() > BREATHS
            && let Some(first) = self.0.pop_front()
        {
            first.await;
        }
    }
}
