//! Chooses the device that a command runs on.

use anstream::eprintln;
use native_eval::{AdapterChoice, CpuBackend, GpuBackend, GpuOptions, Task, adapters};

use super::args::{DeviceChoice, DeviceOptions};
use super::{Failure, text};

/// Runs `task` on the device that the options ask for. `auto` without a hardware GPU, or with one
/// that can't be opened, runs on the CPU and says so.
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
    let gpu_options = GpuOptions { precision: options.precision.into(), ..gpu_options };
    let gpu = match options.device {
        DeviceChoice::Cpu => None,
        DeviceChoice::Gpu(None) => Some(open_gpu(&AdapterChoice::Best, gpu_options)?),
        DeviceChoice::Gpu(Some(index)) => Some(open_gpu(&AdapterChoice::Index(index), gpu_options)?),
        DeviceChoice::Auto => auto_gpu(gpu_options),
    };
    match gpu {
        Some(mut backend) => task.run(&mut backend),
        None => task.run(&mut CpuBackend::new(options.threads.map(usize::from))),
    }
}

fn open_gpu(choice: &AdapterChoice, options: GpuOptions) -> Result<GpuBackend, Failure> {
    GpuBackend::new(choice, options).map_err(|error| {
        Failure(format!(
            "{error}\n  hint:     `bitgauge devices` lists the adapters; --device cpu needs none"
        ))
    })
}

fn auto_gpu(options: GpuOptions) -> Option<GpuBackend> {
    let Some(index) = adapters().iter().position(|adapter| !adapter.is_software) else {
        eprintln!("{}", text::faint("no hardware GPU found, evaluating on the CPU"));
        return None;
    };
    match GpuBackend::new(&AdapterChoice::Index(index), options) {
        Ok(backend) => Some(backend),
        Err(error) => {
            eprintln!("{}", text::faint(&format!("the GPU can't be used ({error}), evaluating on the CPU")));
            None
        }
    }
}
