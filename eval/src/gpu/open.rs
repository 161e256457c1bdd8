//! The open devices of this process: one for each adapter and set of features, shared by its backends.
//!
//! Drivers open a limited number of devices at once: NVIDIA's Vulkan driver 63 in a process (580.159.04).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bitgauge_core::{Error, ErrorKind};

use super::adapters::{AdapterInfo, info};
use super::products::Products;
use crate::backend::{BackendError, Result};

/// With so many devices open, a driver that refuses another one has most likely reached its limit.
const MANY_DEVICES: usize = 16;

/// What went wrong first, until it is told.
type Fault = Arc<Mutex<Option<Error>>>;

/// An open device. It is closed when the last backend, weight and buffer on it are gone.
#[derive(Debug)]
pub(super) struct OpenDevice {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    /// Why it is gone for good.
    lost: Fault,
    /// An error outside of [`Handle::call`](super::handle::Handle::call). No call is known that gives one.
    stray: Fault,
}

struct Entry {
    adapter: wgpu::Adapter,
    features: wgpu::Features,
    device: Weak<OpenDevice>,
}

static OPEN: Mutex<Vec<Entry>> = Mutex::new(Vec::new());
static OPENED: AtomicU64 = AtomicU64::new(0);

/// How many GPU devices this process has opened so far, those that are closed again included. Backends on
/// the same adapter share one, unless they multiply in different ways.
pub fn devices_opened() -> u64 {
    OPENED.load(Ordering::Relaxed)
}

impl OpenDevice {
    /// The device on this adapter for products of this kind: the open one, or a new one if there is none or
    /// if it is lost.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn on(adapter: &wgpu::Adapter, products: Products) -> Result<Arc<Self>> {
        let features = products.features() | (wgpu::Features::TIMESTAMP_QUERY & adapter.features());
        let mut open = lock(&OPEN);
        open.retain(|entry| entry.device.strong_count() > 0);
        let usable = |entry: &Entry| {
            let fits = entry.adapter == *adapter && entry.features == features;
            entry.device.upgrade().filter(|device| fits && device.lost().is_none())
        };
        if let Some(device) = open.iter().find_map(usable) {
            return Ok(device);
        }
        let opened = pollster::block_on(Self::open(adapter, features, products.experimental_features()));
        let device = Arc::new(opened.map_err(|error| refusal(&info(adapter), &error, open.len()))?);
        OPENED.fetch_add(1, Ordering::Relaxed);
        open.push(Entry { adapter: adapter.clone(), features, device: Arc::downgrade(&device) });
        Ok(device)
    }

    /// A device of one's own on this adapter.
    ///
    /// # Errors
    /// The driver refuses.
    pub async fn request(adapter: &wgpu::Adapter, products: Products) -> Result<Arc<Self>> {
        let features = products.features() | (wgpu::Features::TIMESTAMP_QUERY & adapter.features());
        let opened = Self::open(adapter, features, products.experimental_features()).await;
        Ok(Arc::new(opened.map_err(|error| refusal(&info(adapter), &error, 0))?))
    }

    /// Opens the adapter with its own limits.
    async fn open(
        adapter: &wgpu::Adapter,
        required_features: wgpu::Features,
        experimental_features: wgpu::ExperimentalFeatures,
    ) -> std::result::Result<Self, String> {
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("bitgauge"),
            required_features,
            required_limits: adapter.limits(),
            experimental_features,
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| error.to_string())?;
        let (lost, stray) = (Fault::default(), Fault::default());
        let reported = Arc::clone(&stray);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&reported).get_or_insert_with(|| describe(&error));
        }));
        let gone = Arc::clone(&lost);
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                let what = format!("the device was lost: {message}");
                lock(&gone).get_or_insert(Error::new(ErrorKind::Io, what));
            }
        });
        Ok(Self { device, queue, lost, stray })
    }

    /// Why the device is gone for good, if it is: every backend on it is told.
    pub fn lost(&self) -> Option<Error> {
        lock(&self.lost).clone()
    }

    /// Takes an error that no backend can be blamed for: whoever looks first is told.
    pub fn take_stray(&self) -> Option<Error> {
        lock(&self.stray).take()
    }
}

/// How wgpu 30 words VK_ERROR_INITIALIZATION_FAILED, which NVIDIA's driver gives, and VK_ERROR_TOO_MANY_OBJECTS, which the
/// specification asks for.
const AT_THE_LIMIT: [&str; 2] = ["Parent device is lost", "Not enough memory left."];

/// What to tell of an adapter that can't be opened while so many devices are open.
fn refusal(adapter: &AdapterInfo, error: &str, open: usize) -> BackendError {
    if !AT_THE_LIMIT.contains(&error) {
        let what = format!("{adapter} can't be opened: {error}");
        return Error::new(ErrorKind::Unsupported, what).into();
    }
    let what = if open >= MANY_DEVICES { "too many devices are open" } else { "the driver opens no device" };
    Error::new(ErrorKind::Unsupported, format!("{adapter} can't be opened: {what}"))
        .expected_found(
            "a driver that opens one more",
            format!("{open} open in this process, and the error \"{error}\""),
        )
        .hint(
            "drivers limit the devices that are open at once (NVIDIA's to 63): close those that other code in this \
             process opened, and other programs on this GPU",
        )
        .into()
}

/// An error of the device, in our words where there is something to be done.
pub(super) fn describe(error: &wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => Error::new(ErrorKind::TooLarge, "out of memory").hint(
            "keep fewer tokens in flight; if the weights alone do not fit, close what else uses the device, or take \
             one with more memory",
        ),
        wgpu::Error::Validation { description, .. } => {
            Error::new(ErrorKind::Unsupported, format!("invalid use of the device: {description}"))
        }
        wgpu::Error::Internal { description, .. } => {
            Error::new(ErrorKind::Unsupported, format!("internal error: {description}"))
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::adapters::{AdapterChoice, AdapterClass, choose};

    fn an_adapter() -> AdapterInfo {
        AdapterInfo {
            name: "NVIDIA H200".into(),
            backend: "vulkan".into(),
            driver: "NVIDIA".into(),
            driver_info: "580.159.04".into(),
            class: AdapterClass::Discrete,
            is_software: false,
            memory_bytes: Some(141 << 30),
            max_binding_bytes: 1 << 31,
            max_buffer_bytes: 1 << 32,
            workgroup_memory_bytes: 48 << 10,
            max_workgroup_invocations: 1024,
            has_f16: true,
            has_cooperative_matrices: true,
        }
    }

    /// What wgpu says of the driver's refusals, in our words; and other errors in its own.
    #[test]
    fn refusals_say_what_is_wrong() {
        use wgpu::wgc::device::DeviceError;
        assert_eq!(
            AT_THE_LIMIT,
            [DeviceError::Lost, DeviceError::OutOfMemory].map(|error| error.to_string())
        );
        for error in AT_THE_LIMIT {
            let many = refusal(&an_adapter(), error, 63).to_string();
            assert!(many.starts_with(
                "NVIDIA H200 (vulkan, NVIDIA 580.159.04) can't be opened: too many devices are open\n"
            ));
            assert!(many.contains("63 open in this process") && many.contains(error), "{many}");
            assert!(many.contains("\n  hint:     drivers limit the devices"), "{many}");
            let few = refusal(&an_adapter(), error, 1).to_string();
            assert!(
                few.contains("the driver opens no device\n") && few.contains("1 open in this process"),
                "{few}"
            );
        }
        let other = refusal(&an_adapter(), "Unsupported features were requested", 63).to_string();
        assert!(other.ends_with("can't be opened: Unsupported features were requested"), "{other}");
    }

    /// Products of one kind share a device while it works; those of another kind have their own.
    #[test]
    fn devices_are_shared_until_they_are_lost() {
        let adapter = choose(&AdapterChoice::Best).expect("a GPU adapter; a software driver will do");
        let open = || OpenDevice::on(adapter, Products::F16).expect("an adapter with f16");
        let first = open();
        assert!(Arc::ptr_eq(&first, &open()));
        assert!(!Arc::ptr_eq(&first, &OpenDevice::on(adapter, Products::F32).expect("a device")));
        *lock(&first.lost) = Some(Error::new(ErrorKind::Io, "unplugged"));
        let second = open();
        assert!(!Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&second, &open()));
    }
}
