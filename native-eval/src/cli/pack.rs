//! `bitgauge pack`: a model in, a 1-bit artifact out.

use std::fs::File;
use std::path::Path;

use bitgauge_core::model::Transformers;
use bitgauge_core::report::words;
use bitgauge_core::scan::{Digest, Sha256, hex};
use native_eval::documents::{TextSettings, read};
use native_eval::{
    Calibration, PackMix, PackSettings, PackStep, PackSummary, Source, check_pack_target, find_tokenizer,
    own_tokenizer, pack, pack_smallest, start_threads, tokenizer_files,
};

use super::args::{ArchiveName, FitName, Format, PackOptions, ScaleGroup};
use super::print::println;
use super::{Exit, Failure, contract, inspect, interrupt, progress, text};

/// Packs one model folder.
pub fn run(options: &PackOptions, format: Format) -> Result<Exit, Failure> {
    let mut inputs = vec![options.model.clone()];
    inputs.extend(options.calibration.clone().into_iter().chain(options.layout.clone()));
    inputs.extend(options.tokenizer.iter().flat_map(|path| tokenizer_files(path)));
    let wanted = options.archive.map_or_else(|| options.out.clone(), |form| form.of(&options.out));
    let is_best = options.archive == Some(ArchiveName::Best);
    if !is_best {
        check_pack_target(&wanted, options.force, &inputs)?;
    }
    let mut source = inspect::open(
        &options.model,
        options.layout.as_deref(),
        Transformers::default(),
        options.remote.access(true),
    )?;
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
    let out = wanted.display();
    interrupt::keep(format!("what is done is kept beside {out}; the same command goes on from there"));
    let mut tell = |step, done, all| {
        let bar = if step == PackStep::Calibrating { &layers } else { &bytes };
        bar.set_length(all);
        bar.set_position(done);
        if step == PackStep::Calibrating && done == all {
            bar.finish_and_clear();
        }
    };
    let (out_path, summary) = if is_best {
        pack_smallest(&mut source, &wanted, &settings, &mut tell)?
    } else {
        let summary = pack(&mut source, &wanted, &settings, &mut tell)?;
        (wanted, summary)
    };
    let out = out_path.display();
    bytes.finish_and_clear();
    interrupt::keep(format!("{out} is complete"));
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&summary)?),
        Format::Quiet => println!("{out}"),
        Format::Human => {
            println!("{}  {}", text::heading(&out.to_string()), words::bytes(summary.bytes));
            print_summary(&summary);
            print_next(&out_path)?;
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

/// What an archive is known by, and what comes after packing.
fn print_next(out: &Path) -> Result<(), Failure> {
    if out.is_file() {
        let mut hash = Sha256::new();
        std::io::copy(&mut File::open(out)?, &mut HashWriter(&mut hash))?;
        println!("  sha256  {}", hex(hash));
    }
    println!("\n{}", text::heading("Next"));
    let out = out.display();
    println!("  bitgauge inspect {out}");
    println!("  bitgauge eval {out} --documents DOCUMENTS --report report.json");
    println!("  upload it, and: bitgauge submission report.json --uri URL");
    Ok(())
}

/// Hashes what is written.
struct HashWriter<'h>(&'h mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn print_summary(summary: &PackSummary) {
    println!(
        "  {} weights packed, {} kept as they were, {:.4} bits per parameter",
        summary.packed, summary.kept, summary.bits_per_parameter
    );
    if summary.exact > 0 {
        let rounded = match summary.rounded {
            0 => String::new(),
            some => format!(", but for scales of {some} that were rounded to 16 bits"),
        };
        println!("  {} of these hold the same values as before{rounded}", summary.exact);
    }
    for note in &summary.notes {
        println!("  note: {note}");
    }
    if let Some(budget) = summary.budget_bytes {
        let per = match summary.scale_group {
            0 => "row".to_owned(),
            columns => format!("{columns} columns"),
        };
        let share = 100.0 * summary.rescue_parameters as f64 / summary.parameters as f64;
        println!(
            "  {} under the budget of {}; one scale per {per}, {share:.2} % of the parameters in 4 bits",
            words::bytes(budget - summary.bytes),
            words::bytes(budget)
        );
    }
}
