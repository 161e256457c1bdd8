//! `bitgauge devices`: what can evaluate here, and whether an artifact fits.

use std::path::Path;

use bitgauge_core::report::words;
use bitgauge_eval::{AdapterInfo, Backend, adapters};
use native_eval::{Source, missing_gpu, open_cpu};
use serde_json::json;

use super::args::Format;
use super::print::{note, println};
use super::{Exit, Failure, table};

/// Lists the CPU backend and every adapter; of an artifact it says on which its weights fit.
pub fn run(artifact: Option<&Path>, format: Format) -> Result<Exit, Failure> {
    let adapters = adapters();
    let cpu = open_cpu(None)?.describe();
    let weights_bytes = artifact.map(weights_bytes).transpose()?;
    let cpu_bytes = available_bytes();
    match format {
        Format::Json => {
            let json = json!({
                "cpu": cpu, "cpu_available_bytes": cpu_bytes, "gpu": adapters, "weights_bytes": weights_bytes,
            });
            println!("{}", serde_json::to_string_pretty(&json)?);
        }
        Format::Human | Format::Quiet => print(&cpu, cpu_bytes, &adapters, weights_bytes),
    }
    if let (Some(artifact), Some(bytes)) = (artifact, weights_bytes) {
        let name = artifact.display();
        note!("the weights of {name} take {}; a batch of documents takes more", words::bytes(bytes));
    }
    if adapters.iter().all(|adapter| adapter.is_software) {
        note!("{}", missing_gpu());
    }
    Ok(Exit::Done)
}

fn print(cpu: &str, cpu_bytes: Option<u64>, adapters: &[AdapterInfo], weights_bytes: Option<u64>) {
    let memory = |bytes: Option<u64>| bytes.map_or_else(|| words::UNKNOWN.to_owned(), words::bytes);
    let fits = |bytes: Option<u64>| match (weights_bytes, bytes) {
        (None, _) => "",
        (Some(_), None) => words::UNKNOWN,
        (Some(weights), Some(memory)) if weights < memory => "fits",
        _ => "too large",
    };
    let mut rows = vec![vec![
        "cpu".to_owned(),
        cpu.to_owned(),
        "no driver needed".to_owned(),
        memory(cpu_bytes),
        fits(cpu_bytes).to_owned(),
    ]];
    for (index, adapter) in adapters.iter().enumerate() {
        let kind = if adapter.is_software { ", software" } else { "" };
        rows.push(vec![
            format!("gpu:{index}"),
            adapter.name.clone(),
            format!("{}, {} {}{kind}", adapter.backend, adapter.driver, adapter.driver_info),
            memory(adapter.memory_bytes),
            fits(adapter.memory_bytes).to_owned(),
        ]);
    }
    table::print_rows(&["--device", "name", "driver", "memory", ""], rows, 3, 2);
}

/// Bytes of the tensors of an artifact.
fn weights_bytes(artifact: &Path) -> Result<u64, Failure> {
    let source = Source::open(artifact)?;
    Ok(source.artifact().tensors.iter().map(|tensor| tensor.bytes).sum())
}

/// Bytes of memory that processes can still get; known on Linux.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
