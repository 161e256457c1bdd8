//! What adapters there are, and which one to take.

use std::fmt;
use std::sync::LazyLock;

use bitgauge_core::{Error, ErrorKind};

use crate::backend::Result;

/// What kind of device an adapter is, the most capable first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum AdapterClass {
    /// A GPU with memory of its own.
    #[serde(rename = "discrete GPU")]
    Discrete,
    /// A GPU that shares the CPU's memory.
    #[serde(rename = "integrated GPU")]
    Integrated,
    /// A GPU of a virtual machine.
    #[serde(rename = "virtual GPU")]
    Virtual,
    /// The driver does not say.
    #[serde(rename = "other")]
    Other,
    /// A driver that computes on the CPU.
    #[serde(rename = "CPU")]
    Cpu,
}

impl From<wgpu::DeviceType> for AdapterClass {
    fn from(device_type: wgpu::DeviceType) -> Self {
        match device_type {
            wgpu::DeviceType::DiscreteGpu => Self::Discrete,
            wgpu::DeviceType::IntegratedGpu => Self::Integrated,
            wgpu::DeviceType::VirtualGpu => Self::Virtual,
            wgpu::DeviceType::Other => Self::Other,
            wgpu::DeviceType::Cpu => Self::Cpu,
        }
    }
}

/// One adapter as the system lists it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AdapterInfo {
    /// The device's name: `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// The interface it is reached through: `vulkan`, `metal`, `dx12`.
    pub backend: String,
    /// Name of the driver.
    pub driver: String,
    /// Version of the driver.
    pub driver_info: String,
    /// What kind of device it is.
    #[serde(rename = "device_type")]
    pub class: AdapterClass,
    /// Whether it computes on the CPU, as llvmpipe does.
    pub is_software: bool,
    /// Bytes of its largest memory, where the interface tells them.
    pub memory_bytes: Option<u64>,
    /// Most bytes of one buffer that a kernel can see at once.
    pub max_binding_bytes: u64,
    /// Most bytes of one buffer.
    pub max_buffer_bytes: u64,
    /// Memory that the invocations of one workgroup share, in bytes.
    pub workgroup_memory_bytes: u32,
    /// Most invocations of one workgroup.
    pub max_workgroup_invocations: u32,
    /// Whether kernels can compute with 16-bit floats.
    pub has_f16: bool,
    /// Whether it has the cooperative matrices that matmul_coop.wgsl needs: 16 x 16 x 16, f16
    /// factors and f32 sums, in subgroups of 32.
    pub has_cooperative_matrices: bool,
}

impl fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {} {})", self.name, self.backend, self.driver, self.driver_info)
    }
}

/// Which adapter to take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AdapterChoice {
    /// The first of the most capable type: discrete, integrated, virtual, other, software.
    #[default]
    Best,
    /// By its index in [`adapters`].
    Index(usize),
    /// The first whose name contains this text, whatever the case.
    Name(String),
}

/// Every adapter that can run the kernels, most capable type first. Empty where there is no driver.
pub fn adapters() -> Vec<AdapterInfo> {
    ADAPTERS.iter().map(info).collect()
}

/// The chosen adapter.
pub(super) fn choose(choice: &AdapterChoice) -> Result<&'static wgpu::Adapter> {
    let found = &*ADAPTERS;
    let names: Vec<String> = found.iter().map(|adapter| adapter.get_info().name).collect();
    let index = match choice {
        AdapterChoice::Best => 0,
        AdapterChoice::Index(index) => *index,
        AdapterChoice::Name(text) => {
            let text = text.to_lowercase();
            names.iter().position(|name| name.to_lowercase().contains(&text)).unwrap_or(names.len())
        }
    };
    found.get(index).ok_or_else(|| {
        let what = match (choice, names.is_empty()) {
            (_, true) => "no GPU adapter: no Vulkan, Metal or Direct3D 12 driver was found".into(),
            (AdapterChoice::Name(text), _) => {
                format!("no GPU adapter's name contains `{text}`; there are: {}", names.join(", "))
            }
            _ => format!("no GPU adapter {index}; there are {}: {}", names.len(), names.join(", ")),
        };
        Error::new(ErrorKind::Missing, what).into()
    })
}

/// The adapter that the system takes for the fastest.
pub(super) async fn request() -> Result<wgpu::Adapter> {
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    };
    let adapter = INSTANCE.request_adapter(&options).await.map_err(|error| {
        Error::new(ErrorKind::Missing, "no GPU adapter").expected_found("one that can be used here", error)
    })?;
    if !is_able(&adapter) {
        let what = "the GPU lacks what the kernels need";
        return Err(Error::new(ErrorKind::Unsupported, what).within(adapter.get_info().name).into());
    }
    Ok(adapter)
}

/// The drivers, loaded once: some of them find no more adapters after they were loaded and unloaded some dozens of times.
static INSTANCE: LazyLock<wgpu::Instance> = LazyLock::new(|| {
    wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::PRIMARY,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    })
});

/// The adapters, listed once: backends on the same one share a device.
static ADAPTERS: LazyLock<Vec<wgpu::Adapter>> = LazyLock::new(|| {
    let mut found = pollster::block_on(INSTANCE.enumerate_adapters(wgpu::Backends::PRIMARY));
    found.retain(is_able);
    found.sort_by_key(|adapter| AdapterClass::from(adapter.get_info().device_type));
    found
});

/// Whether an adapter can run the kernels.
fn is_able(adapter: &wgpu::Adapter) -> bool {
    let flags = adapter.get_downlevel_capabilities().flags;
    let needed = wgpu::DownlevelFlags::COMPUTE_SHADERS | wgpu::DownlevelFlags::SHADER_F16_IN_F32;
    let limits = adapter.limits();
    // Six storage buffers at most in each of two bind groups, eight in all; alignment 256 is what rows of activations
    // are padded to.
    flags.contains(needed)
        && limits.max_storage_buffers_per_shader_stage >= 8
        && limits.min_storage_buffer_offset_alignment <= 256
}

/// What people and reports are told about an adapter.
pub(super) fn info(adapter: &wgpu::Adapter) -> AdapterInfo {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    AdapterInfo {
        name: info.name,
        backend: info.backend.to_str().to_owned(),
        driver: info.driver,
        driver_info: info.driver_info,
        class: info.device_type.into(),
        is_software: info.device_type == wgpu::DeviceType::Cpu,
        memory_bytes: memory_bytes(adapter),
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
        max_workgroup_invocations: limits.max_compute_invocations_per_workgroup,
        has_f16: adapter.features().contains(wgpu::Features::SHADER_F16),
        has_cooperative_matrices: has_cooperative_matrices(adapter),
    }
}

/// Bytes of the largest memory of a Vulkan device, else of what it shares with the CPU.
#[cfg(not(any(target_vendor = "apple", target_arch = "wasm32")))]
fn memory_bytes(adapter: &wgpu::Adapter) -> Option<u64> {
    // SAFETY: nothing is made or ended through the handles, they are only asked for properties.
    let device = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let instance = device.shared_instance().raw_instance();
    // SAFETY: the device is of this instance, and the adapter keeps both alive.
    let memory = unsafe { instance.get_physical_device_memory_properties(device.raw_physical_device()) };
    memory.memory_heaps_as_slice().iter().map(|heap| heap.size).max()
}

#[cfg(any(target_vendor = "apple", target_arch = "wasm32"))]
fn memory_bytes(_: &wgpu::Adapter) -> Option<u64> {
    None
}

fn has_cooperative_matrices(adapter: &wgpu::Adapter) -> bool {
    use wgpu::CooperativeScalarType::{F16, F32};
    let info = adapter.get_info();
    let features = wgpu::Features::SHADER_F16
        | wgpu::Features::SUBGROUP
        | wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
    adapter.features().contains(features)
        && (info.subgroup_min_size, info.subgroup_max_size) == (32, 32)
        && adapter.cooperative_matrix_properties().iter().any(|shape| {
            (shape.m_size, shape.n_size, shape.k_size) == (16, 16, 16)
                && (shape.ab_type, shape.cr_type) == (F16, F32)
        })
}
