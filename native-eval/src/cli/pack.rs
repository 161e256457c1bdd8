//! `bitgauge pack`: a dense model in, a 1-bit artifact out.

use bitgauge_core::report::words;
use native_eval::documents::{TextSettings, read};
use native_eval::{
    Calibration, PackMix, PackSettings, PackStep, PackSummary, Source, check_pack_target, find_tokenizer,
    own_tokenizer, pack, start_threads, tokenizer_files,
};

use super::args::{FitName, Format, PackOptions, ScaleGroup};
use super::print::println;
use super::{Exit, Failure, contract, interrupt, progress, text};

/// Packs one model folder.
pub fn run(options: &PackOptions, format: Format) -> Result<Exit, Failure> {
    let mut inputs = vec![options.model.clone()];
    inputs.extend(options.calibration.clone());
    inputs.extend(options.tokenizer.iter().flat_map(|path| tokenizer_files(path)));
    check_pack_target(&options.out, options.force, &inputs)?;
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
    let calibration = calibration(options, &mut source)?;
    let settings = PackSettings { mix, fit: options.fit.into(), calibration, force: options.force };
    let layers = progress::steps("calibrating", 0);
    let bytes = progress::bytes("packing", 0);
    start_threads()?;
    let out = options.out.display();
    interrupt::keep(format!("what is done is kept beside {out}; the same command goes on from there"));
    let summary = pack(&mut source, &options.out, &settings, &mut |step, done, all| {
        let bar = if step == PackStep::Calibrating { &layers } else { &bytes };
        bar.set_length(all);
        bar.set_position(done);
        if step == PackStep::Calibrating && done == all {
            bar.finish_and_clear();
        }
    })?;
    bytes.finish_and_clear();
    interrupt::keep(format!("{out} is complete"));
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&summary)?),
        Format::Quiet => println!("{}", options.out.display()),
        Format::Human => {
            println!(
                "{}  {}",
                text::heading(&options.out.display().to_string()),
                words::bytes(summary.bytes)
            );
            print_summary(&summary);
            println!("  next: bitgauge inspect {}", options.out.display());
        }
    }
    Ok(Exit::Done)
}

/// The tokens that the options ask for.
fn calibration(options: &PackOptions, source: &mut Source) -> Result<Calibration, Failure> {
    match (options.fit, &options.calibration) {
        (FitName::Output, None) => Ok(Calibration::RandomTokens),
        (FitName::Output, Some(path)) => {
            let documents = read(std::slice::from_ref(path), &TextSettings::default())?.into_texts();
            let tokenizer = match options.tokenizer.as_deref() {
                Some(path) => find_tokenizer(
                    &path.to_string_lossy(),
                    Some(path),
                    &contract::files()?,
                    source.transformers(),
                )?,
                None => own_tokenizer(source)?,
            };
            let ids =
                documents.iter().map(|text| tokenizer.tokenizer.encode(text, Calibration::DOCUMENT_TOKENS));
            Ok(Calibration::Documents(ids.collect::<Result<_, _>>()?))
        }
        (_, None) => Ok(Calibration::None),
        (_, Some(_)) => Err(Failure("--calibration needs --fit output".into())),
    }
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
            words::bytes(budget - summary.bytes),
            words::bytes(budget)
        );
    }
}
