//! Finding, copying and opening models; running code on every backend.

use std::fs;
use std::path::{Path, PathBuf};

use bitgauge_core::inventory::Inventory;
use bitgauge_eval::{AdapterChoice, Backend, GpuBackend, GpuOptions, Model, Task};
use native_eval::{ReferenceBackend, Source, load, open_cpu};

/// The folder of fixtures: where the suites were built, or, on another machine, in the repository that
/// they are run in.
pub fn fixtures() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    if built.is_dir() { built } else { PathBuf::from("tests/fixtures") }
}

/// Folders of golden models: those of `BITGAUGE_MODEL_GOLDENS` when set, else the fixtures'.
///
/// # Panics
/// When the folder can't be read or holds no golden: a suite without cases must not pass.
pub fn golden_models() -> Vec<PathBuf> {
    let folder = goldens();
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut models: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("config.json").is_file() && path.join("golden.safetensors").is_file())
        .collect();
    models.sort();
    assert!(!models.is_empty(), "{} holds no golden model", folder.display());
    models
}

/// The folder of goldens for single operations, beside those of the models. `None` where
/// `BITGAUGE_MODEL_GOLDENS` points to a folder without it.
///
/// # Errors
/// The fixtures lack it.
pub fn golden_ops() -> Result<Option<PathBuf>, String> {
    ops_in(&goldens(), std::env::var_os(GOLDENS).is_some())
}

fn ops_in(goldens: &Path, is_chosen: bool) -> Result<Option<PathBuf>, String> {
    let folder = goldens.join("ops");
    match folder.is_dir() {
        true => Ok(Some(folder)),
        false if is_chosen => Ok(None),
        false => Err(format!("{} is not there", folder.display())),
    }
}

/// Points the model suite at another folder of goldens.
const GOLDENS: &str = "BITGAUGE_MODEL_GOLDENS";

fn goldens() -> PathBuf {
    std::env::var_os(GOLDENS).map_or_else(|| fixtures().join("models"), PathBuf::from)
}

/// A device that every model suite runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The CPU backend.
    Cpu,
    /// The first wgpu adapter.
    Gpu,
    /// The CPU in f64.
    Reference,
}

impl Device {
    /// The devices that evaluate models of any size.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Gpu];
    /// Those, and the one for small models.
    pub const WITH_REFERENCE: [Self; 3] = [Self::Cpu, Self::Gpu, Self::Reference];
}

/// Runs a task on a device.
///
/// # Errors
/// The task's own, or why there is no such device.
pub fn on_device<T>(device: Device, task: impl Task<Output = Result<T, String>>) -> Result<T, String> {
    match device {
        Device::Cpu => task.run(&mut open_cpu(None).expect("threads")),
        Device::Reference => task.run(&mut ReferenceBackend),
        Device::Gpu => {
            let backend = GpuBackend::new(&AdapterChoice::Best, GpuOptions::default());
            task.run(&mut backend.map_err(|e| format!("{e}\n      {NO_ADAPTER}"))?)
        }
    }
}

const NO_ADAPTER: &str = "no GPU adapter is a failure, not a skip: \
     install a software Vulkan driver (Debian: mesa-vulkan-drivers)";

/// Loads the model at `path` onto a backend, through the same door as a user.
///
/// # Errors
/// Whatever a user would be told.
pub fn open_model<B: Backend>(backend: &mut B, path: &Path) -> Result<Model<B>, String> {
    let mut source = Source::open(path).map_err(|e| e.to_string())?;
    let artifact = source.artifact().clone();
    let inventory = Inventory::of(&artifact).map_err(|e| e.to_string())?;
    load(backend, &mut source, &inventory, &mut |_| {}).map_err(|e| e.to_string())
}

/// Copies the files of a folder into a fresh temporary one.
///
/// # Panics
/// When the disk is full or the folder is gone.
pub fn copy_folder(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        fs::copy(&path, to.path().join(name)).expect("a copy");
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a folder that someone chose may lack the operations.
    #[test]
    fn missing_fixtures_are_a_failure() {
        let goldens = tempfile::tempdir().expect("a temporary folder");
        assert!(ops_in(goldens.path(), false).expect_err("a failure").ends_with("ops is not there"));
        assert_eq!(ops_in(goldens.path(), true), Ok(None));
        fs::create_dir(goldens.path().join("ops")).expect("a folder");
        assert_eq!(ops_in(goldens.path(), false), Ok(Some(goldens.path().join("ops"))));
    }
}
