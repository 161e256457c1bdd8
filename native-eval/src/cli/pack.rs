//! `bitgauge pack`: a dense model in, a 1-bit artifact out.

use anstream::println;
use native_eval::{PackSettings, Source, pack};

use super::args::{Format, PackOptions};
use super::{Exit, Failure, progress, text};

/// Packs one model folder.
pub fn run(options: &PackOptions, format: Format) -> Result<Exit, Failure> {
    let mut source = Source::open(&options.model)?;
    let settings = PackSettings {
        scale_group: if options.scale_group == "0" { 0 } else { 128 },
        rescue_fraction: options.rescue_fraction,
        bases: usize::from(options.bases),
        force: options.force,
    };
    let bar = progress::bytes("packing", source.artifact().tensors.iter().map(|t| t.bytes).sum());
    let summary = pack(&mut source, &options.out, &settings, &mut |bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&summary)?),
        Format::Quiet => println!("{}", options.out.display()),
        Format::Human => {
            println!("{}  {}", text::heading(&options.out.display().to_string()), text::bytes(summary.bytes));
            println!(
                "  {} weights packed, {} kept as they were, {:.4} bits per parameter",
                summary.packed, summary.kept, summary.bits_per_parameter
            );
            println!("  next: bitgauge inspect {}", options.out.display());
        }
    }
    Ok(Exit::Done)
}
