//! The errors of single calls to a device.

use super::open::OpenDevice;

const FILTERS: [wgpu::ErrorFilter; 3] =
    [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal];

/// Calls the device, and gives the first error that it reports of the call to `report`, whatever others do meanwhile: error
/// scopes belong to their thread.
pub(super) fn scoped<T>(
    open: &OpenDevice,
    call: impl FnOnce(&wgpu::Device, &wgpu::Queue) -> T,
    mut report: impl FnMut(&wgpu::Error),
) -> T {
    let OpenDevice { device, queue, .. } = open;
    let scopes = FILTERS.map(|filter| device.push_error_scope(filter));
    let result = call(device, queue);
    for scope in scopes.into_iter().rev() {
        if let Some(error) = pollster::block_on(scope.pop()) {
            report(&error);
        }
    }
    result
}

/// Waits while too much is queued. The other operations wait themselves.
pub(super) struct Throttle;

impl Throttle {
    /// Nothing is queued.
    pub fn new() -> Self {
        Self
    }

    /// Waits, if it must.
    pub async fn breathe(&mut self, _: &OpenDevice) {}
}
