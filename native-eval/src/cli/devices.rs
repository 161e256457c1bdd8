//! `bitgauge devices`: what can evaluate here.

use bitgauge_eval::{Backend, adapters};
use native_eval::open_cpu;

use super::args::Format;
use super::print::{eprintln, println};
use super::{Exit, Failure, output, text};

/// Lists the CPU backend and every adapter.
pub fn run(format: Format) -> Result<Exit, Failure> {
    let adapters = adapters();
    let cpu = open_cpu(None)?.describe();
    if format == Format::Json {
        let json = serde_json::json!({ "cpu": cpu, "gpu": adapters });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(Exit::Done);
    }
    let mut rows = vec![vec!["cpu".to_owned(), cpu, String::new(), String::new()]];
    for (index, adapter) in adapters.iter().enumerate() {
        let kind = if adapter.is_software { "software" } else { "hardware" };
        rows.push(vec![
            format!("gpu:{index}"),
            adapter.name.clone(),
            format!("{}, {} {}", adapter.backend, adapter.driver, adapter.driver_info),
            kind.to_owned(),
        ]);
    }
    output::print_table(&output::table(&["--device", "name", "driver", ""], rows, 4));
    if adapters.is_empty() {
        eprintln!(
            "{}",
            text::faint("no GPU adapter found; a Vulkan, Metal or DirectX 12 driver provides one")
        );
    }
    Ok(Exit::Done)
}
