//! `bitgauge pack`: a model in, a 1-bit artifact out.

use std::fs::File;
use std::path::Path;

use bitgauge_core::model::Transformers;
use bitgauge_core::report::words;
use bitgauge_core::scan::{Digest, Sha256, hex};
use native_eval::documents::{TextSettings, read};
use native_eval::{
    Calibration, LibraryForm, PackMix, PackOutlook, PackSettings, PackStep, PackSummary, Source,
    check_pack_target, find_tokenizer, outlook, own_tokenizer, pack, pack_for_library, pack_smallest,
    pack_smallest_for_library, start_threads, tokenizer_files,
};

use super::args::{ArchiveName, FitName, Format, PackName, PackOptions, ScaleGroup};
use super::print::{note, println};
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
    if let Some(form) = options.library_form {
        return pack_plain(&mut source, options, (form.into(), &wanted), format);
    }
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
    if options.dry_run {
        return dry_run(&mut source, options, &settings, format);
    }
    let layers = progress::steps("calibrating");
    let bytes = progress::bytes("packing", 0);
    start_threads()?;
    let out = wanted.display();
    interrupt::keep(format!("finished work is kept beside {out}; the same command goes on from there"));
    let mut tell = |step, done, all| {
        let bar = if step == PackStep::Calibrating { &layers } else { &bytes };
        bar.set(done, all);
        if step == PackStep::Calibrating && done == all {
            bar.finish();
        }
    };
    let (out_path, summary) = if is_best {
        pack_smallest(&mut source, &wanted, &settings, &mut tell)?
    } else {
        let summary = pack(&mut source, &wanted, &settings, &mut tell)?;
        (wanted, summary)
    };
    bytes.finish();
    interrupt::keep(format!("{} is complete", out_path.display()));
    print_packed(&out_path, &summary, format)
}

/// Packs into a form that transformers loads by itself.
fn pack_plain(
    source: &mut Source,
    options: &PackOptions,
    (form, out): (LibraryForm, &Path),
    format: Format,
) -> Result<Exit, Failure> {
    interrupt::keep(
        "nothing is kept; the folder .bitgauge-pack-… that is left beside the target can be removed",
    );
    let pack = options.budget.unwrap_or(PackName::Binary).into();
    let bar = progress::bytes("packing", 0);
    start_threads()?;
    let tell = &mut |_, done, all| bar.set(done, all);
    let (out, summary) = if options.archive == Some(ArchiveName::Best) {
        pack_smallest_for_library(source, out, (form, pack), options.force, tell)?
    } else {
        (out.to_owned(), pack_for_library(source, out, (form, pack), options.force, tell)?)
    };
    bar.finish();
    interrupt::keep(format!("{} is complete", out.display()));
    print_packed(&out, &summary, format)
}

/// Prints what was packed.
fn print_packed(out_path: &Path, summary: &PackSummary, format: Format) -> Result<Exit, Failure> {
    let out = out_path.display();
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(summary)?),
        Format::Quiet => println!("{out}"),
        Format::Human => {
            println!("{}  {}", text::heading(&out.to_string()), words::bytes(summary.bytes));
            print_summary(summary);
            print_next(out_path)?;
        }
    }
    Ok(Exit::Done)
}

/// Prints what would be packed, how large it gets and about how long it takes.
fn dry_run(
    source: &mut Source,
    options: &PackOptions,
    settings: &PackSettings,
    format: Format,
) -> Result<Exit, Failure> {
    start_threads()?;
    note!("packing a small model to see how fast that is here");
    let outlook = outlook(source, &options.out, settings)?;
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&outlook)?),
        Format::Quiet => println!("{}", outlook.bytes),
        Format::Human => print_outlook(&outlook, options),
    }
    Ok(Exit::Done)
}

fn print_outlook(outlook: &PackOutlook, options: &PackOptions) {
    let out = text::heading(&options.out.display().to_string());
    let most = if outlook.budget_bytes.is_some() || options.rescue_fraction > 0.0 { "at most " } else { "" };
    println!("{out}  {most}{}, nothing is written", words::plural(outlook.bytes, "byte"));
    let per_parameter = 8.0 * outlook.bytes as f64 / outlook.parameters.max(1) as f64;
    println!(
        "  from     {}, {} parameters",
        words::bytes(outlook.source_bytes),
        words::count(outlook.parameters)
    );
    println!(
        "  packed   {}, {most}{per_parameter:.4} bits per parameter",
        words::plural(outlook.packed, "weight")
    );
    println!("  kept     {}, {}", words::plural(outlook.kept, "tensor"), words::bytes(outlook.kept_bytes));
    if !outlook.dropped.is_empty() {
        println!("  left out {}", words::plural(outlook.dropped.len() as u64, "tensor"));
    }
    if let Some(seconds) = outlook.seconds {
        println!("  time     about {}", duration(seconds));
    }
}

/// Seconds in the unit that suits them.
fn duration(seconds: f64) -> String {
    match seconds {
        ..90.0 => format!("{seconds:.0} s"),
        ..5400.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
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
        "  {} packed, {} kept as {}, {:.4} bits per parameter",
        words::plural(summary.packed, "weight"),
        words::plural(summary.kept, "tensor"),
        if summary.is_loaded_by_code { "stored" } else { "numbers" },
        summary.bits_per_parameter
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
        let spare = words::bytes(budget - summary.bytes);
        println!("  {spare} under the budget of {}", words::bytes(budget));
        if summary.is_loaded_by_code {
            let per = match summary.scale_group {
                0 => "row".to_owned(),
                columns => format!("{columns} columns"),
            };
            let share = 100.0 * summary.rescue_parameters as f64 / summary.parameters as f64;
            println!("  one scale per {per}, {share:.2} % of the parameters in 4 bits");
        }
    }
}
