//! Says why there is no GPU to evaluate on: which driver is missing.

use std::fs;
use std::path::{Path, PathBuf};

use bitgauge_eval::adapters;

/// Folders in which Vulkan's loader looks for drivers.
const DRIVER_FOLDERS: [&str; 4] = [
    "/usr/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
    "/usr/local/etc/vulkan/icd.d",
];
/// Folders in which systems keep the loader; below these there may be one for each architecture.
const LIBRARY_FOLDERS: [&str; 5] = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib"];
/// The loader.
const LOADER: &str = "libvulkan.so.1";
/// The first digits of a PCI device's class if it draws or computes.
const DISPLAY_CLASSES: [&str; 2] = ["0x03", "0x12"];

/// Makers of GPUs, by their PCI number: name, a part of the names of their drivers' files, and what installs those.
const MAKERS: [(&str, &str, &[&str], &str); 3] = [
    (
        "0x10de",
        "NVIDIA",
        &["nvidia", "nouveau"],
        "NVIDIA's driver with its Vulkan files (Debian: nvidia-vulkan-icd; in a container: \
         NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility)",
    ),
    (
        "0x1002",
        "AMD",
        &["radeon", "amd"],
        "Mesa's Vulkan drivers (Debian: mesa-vulkan-drivers; container: --device /dev/dri)",
    ),
    (
        "0x8086",
        "Intel",
        &["intel"],
        "Mesa's Vulkan drivers (Debian: mesa-vulkan-drivers; container: --device /dev/dri)",
    ),
];

/// Why no hardware GPU can be used, in one sentence without a full stop.
pub fn missing_gpu() -> String {
    if !cfg!(target_os = "linux") {
        return "no hardware GPU found".to_owned();
    }
    Found::here().words()
}

/// What of GPUs and their drivers there is.
#[derive(Debug, Clone, Default)]
struct Found {
    /// The PCI numbers of GPUs' makers.
    makers: Vec<String>,
    has_loader: bool,
    /// Names of drivers' files.
    drivers: Vec<String>,
}

impl Found {
    fn here() -> Self {
        let read = |device: &Path, name: &str| fs::read_to_string(device.join(name)).unwrap_or_default();
        let devices = entries(Path::new("/sys/bus/pci/devices"));
        let draws = |device: &&PathBuf| {
            let class = read(device, "class");
            DISPLAY_CLASSES.iter().any(|begin| class.starts_with(begin))
        };
        let makers = devices.iter().filter(draws).map(|device| read(device, "vendor").trim().to_owned());
        let named =
            ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].map(|name| std::env::var(name).unwrap_or_default());
        let files = DRIVER_FOLDERS.iter().flat_map(|folder| entries(Path::new(folder)));
        let names = files.filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()));
        // Where there is an adapter, be it a software one, there is a loader.
        let has_loader = !adapters().is_empty() || has_loader();
        Self { makers: makers.collect(), has_loader, drivers: names.chain(named).collect() }
    }

    fn words(&self) -> String {
        let maker = MAKERS.iter().find(|(number, ..)| self.makers.iter().any(|maker| maker == number));
        let Some((_, name, parts, driver)) = maker else {
            let loader = if self.has_loader { "" } else { " and no Vulkan loader (Debian: libvulkan1)" };
            return format!("no hardware GPU found{loader}");
        };
        let has_driver = self.drivers.iter().any(|file| parts.iter().any(|part| file.contains(part)));
        match (self.has_loader, has_driver) {
            (false, true) => format!(
                "there is a GPU by {name}, but no Vulkan loader: install {LOADER} (Debian: libvulkan1)"
            ),
            (false, false) => format!(
                "there is a GPU by {name}, but neither a Vulkan loader (Debian: libvulkan1) nor a driver: install {driver}"
            ),
            (true, false) => {
                format!("there is a GPU by {name}, but no Vulkan driver for it: install {driver}")
            }
            (true, true) => format!(
                "there is a GPU by {name} and a Vulkan driver for it, but the driver does not start; \
                 `vulkaninfo --summary` may say why"
            ),
        }
    }
}

fn has_loader() -> bool {
    let named = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let named = named.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let usual = LIBRARY_FOLDERS.iter().map(PathBuf::from);
    let below = LIBRARY_FOLDERS.iter().flat_map(|folder| entries(Path::new(folder)));
    named.chain(usual).chain(below).any(|folder| folder.join(LOADER).exists())
}

/// What is in a folder; nothing where it can't be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let found = |maker: &str, has_loader, driver: &str| Found {
            makers: vec!["0x1234".to_owned(), maker.to_owned()],
            has_loader,
            drivers: vec!["lvp_icd.x86_64.json".to_owned(), driver.to_owned()],
        };
        for (found, part) in [
            (found("0x10de", true, ""), "no Vulkan driver for it: install NVIDIA's"),
            (found("0x10de", false, "nvidia_icd.json"), "no Vulkan loader"),
            (found("0x10de", false, ""), "nor a driver: install NVIDIA's"),
            (found("0x10de", true, "nvidia_icd.json"), "does not start"),
            (found("0x1002", true, "nvidia_icd.json"), "GPU by AMD, but no Vulkan driver"),
            (found("0x8086", true, "intel_icd.x86_64.json"), "GPU by Intel and a Vulkan driver"),
        ] {
            assert!(found.words().contains(part), "{found:?}: {}", found.words());
        }
        assert_eq!(found("", true, "").words(), "no hardware GPU found");
        assert!(found("", false, "").words().contains("libvulkan1"));
    }
}
