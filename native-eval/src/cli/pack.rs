//! `bitgauge pack`: a dense model in, a 1-bit artifact out.

use anstream::println;
use native_eval::{PackMix, PackSettings, PackSummary, Source, pack};

use super::args::{Format, PackOptions, ScaleGroup};
use super::{Exit, Failure, progress, text};

/// Packs one model folder.
pub fn run(options: &PackOptions, format: Format) -> Result<Exit, Failure> {
    let mut source = Source::open(&options.model)?;
    let scale_group = options.scale_group.map(ScaleGroup::columns);
    let mix = match options.budget {
        Some(pack) => PackMix::Budget { pack: pack.into(), scale_group },
        None => PackMix::Uniform {
            scale_group: scale_group.unwrap_or(128),
            rescue_fraction: options.rescue_fraction,
            bases: usize::from(options.bases),
        },
    };
    let settings = PackSettings { mix, fit: options.fit.into(), force: options.force };
    let bar = progress::bytes("packing", source.artifact().tensors.iter().map(|t| t.bytes).sum());
    let summary = pack(&mut source, &options.out, &settings, &mut |bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&summary)?),
        Format::Quiet => println!("{}", options.out.display()),
        Format::Human => {
            println!("{}  {}", text::heading(&options.out.display().to_string()), text::bytes(summary.bytes));
            print_summary(&summary);
            println!("  next: bitgauge inspect {}", options.out.display());
        }
    }
    Ok(Exit::Done)
}

fn print_summary(summary: &PackSummary) {
    println!(
        "  {} weights packed, {} kept as they were, {:.4} bits per parameter",
        summary.packed, summary.kept, summary.bits_per_parameter
    );
    if let Some(budget) = summary.budget_bytes {
        let per = if summary.scale_group == 0 { "row" } else { "128 columns" };
        let share = 100.0 * summary.rescue_parameters as f64 / summary.parameters as f64;
        println!(
            "  {} under the budget of {}; one scale per {per}, {share:.2} % of the parameters in 4 bits",
            text::bytes(budget - summary.bytes),
            text::bytes(budget)
        );
    }
}
