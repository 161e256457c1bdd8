//! Opens the devices that a command runs on.

use bitgauge_eval::{
    AdapterChoice, AdapterInfo, Backend, BackendError, CpuBackend, GpuBackend, GpuOptions, Task, WeightForms,
    adapters,
};
use native_eval::{open_cpu, start_threads};

use super::Failure;
use super::args::{DeviceChoice, DeviceName, DeviceOptions};
use super::print::note;

/// An open device.
pub enum Device {
    Cpu(CpuBackend),
    Gpu(Box<GpuBackend>),
}

impl Device {
    /// Does the task on it.
    pub fn run<T: Task>(&mut self, task: T) -> T::Output {
        match self {
            Self::Cpu(backend) => task.run(backend),
            Self::Gpu(backend) => task.run(backend.as_mut()),
        }
    }

    /// What products with weights are computed in.
    pub fn precision(&self) -> &'static str {
        match self {
            Self::Cpu(backend) => backend.precision(),
            Self::Gpu(backend) => backend.precision(),
        }
    }

    /// In what forms it takes weights.
    pub fn weight_forms(&self) -> WeightForms {
        match self {
            Self::Cpu(backend) => backend.weight_forms(),
            Self::Gpu(backend) => backend.weight_forms(),
        }
    }

    /// Most bytes of its own memory that were taken at once, where it has any.
    pub fn most_bytes(&self) -> Option<u64> {
        match self {
            Self::Cpu(backend) => backend.device_bytes(),
            Self::Gpu(backend) => backend.device_bytes(),
        }
    }

    /// For people.
    pub fn describe(&self) -> String {
        match self {
            Self::Cpu(backend) => backend.describe(),
            Self::Gpu(backend) => backend.describe(),
        }
    }
}

/// Runs `task` on the one device that the options ask for.
pub fn run<T>(options: &DeviceOptions, task: impl Task<Output = Result<T, Failure>>) -> Result<T, Failure> {
    run_with(options, GpuOptions::default(), task)
}

/// The same, with every kernel of a GPU timed.
pub fn run_timed<T>(
    options: &DeviceOptions,
    task: impl Task<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    run_with(options, GpuOptions { timed: true, ..GpuOptions::default() }, task)
}

fn run_with<T>(
    options: &DeviceOptions,
    gpu_options: GpuOptions,
    task: impl Task<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match open_with(options, &gpu_options)?.as_mut_slice() {
        [device] => device.run(task),
        devices => Err(Failure(format!(
            "this command runs on one device\n  expected: one --device\n  found:    {}",
            devices.len()
        ))),
    }
}

/// Opens the devices that the options ask for. `auto` and `all` without a hardware GPU, and `auto` with one
/// that can't be opened, give the CPU and say so.
pub fn open(options: &DeviceOptions) -> Result<Vec<Device>, Failure> {
    open_with(options, &GpuOptions::default())
}

fn open_with(options: &DeviceOptions, gpu_options: &GpuOptions) -> Result<Vec<Device>, Failure> {
    let gpu_options = GpuOptions { precision: options.precision.into(), ..gpu_options.clone() };
    let cpu = || open_cpu(options.threads.map(usize::from)).map(Device::Cpu);
    let names = match &options.device {
        DeviceChoice::Named(names) => names.clone(),
        choice => {
            let hardware = hardware_gpus(&adapters());
            match hardware.first() {
                None => {
                    note!("{}: evaluating on the CPU", native_eval::missing_gpu());
                    return Ok(vec![cpu()?]);
                }
                Some(&first) if *choice == DeviceChoice::Auto => {
                    return Ok(vec![auto_gpu(first, gpu_options).map_or_else(cpu, Ok)?]);
                }
                _ => hardware.into_iter().map(DeviceName::Gpu).collect(),
            }
        }
    };
    let open = |name| match name {
        DeviceName::Cpu => Ok(cpu()?),
        DeviceName::Gpu(index) => open_gpu(index, gpu_options.clone()),
    };
    names.into_iter().map(open).collect()
}

/// The hardware adapters' indices. Where one interface lists them, another would list the same ones again.
fn hardware_gpus(adapters: &[AdapterInfo]) -> Vec<usize> {
    let hardware: Vec<_> = adapters.iter().enumerate().filter(|(_, adapter)| !adapter.is_software).collect();
    let interface = hardware.first().map(|(_, adapter)| &adapter.backend);
    hardware
        .iter()
        .filter(|(_, adapter)| Some(&adapter.backend) == interface)
        .map(|(index, _)| *index)
        .collect()
}

/// A GPU, and the process's threads, which bring weights to it.
fn gpu(index: usize, options: GpuOptions) -> Result<Device, BackendError> {
    start_threads()?;
    GpuBackend::new(&AdapterChoice::Index(index), options).map(|backend| Device::Gpu(Box::new(backend)))
}

fn open_gpu(index: usize, options: GpuOptions) -> Result<Device, Failure> {
    gpu(index, options).map_err(|BackendError(error)| {
        let hint = "`bitgauge devices` lists the adapters; --device cpu needs none";
        if error.hint.is_some() { error } else { error.hint(hint) }.into()
    })
}

fn auto_gpu(index: usize, options: GpuOptions) -> Option<Device> {
    match gpu(index, options) {
        Ok(device) => Some(device),
        Err(BackendError(error)) => {
            let what = &error.what;
            note!("the GPU can't be used ({what}), evaluating on the CPU");
            None
        }
    }
}
