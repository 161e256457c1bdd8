//! `bitgauge eval`: perplexity on held-out documents.

mod devices;
mod ledger;
mod per_document;

use std::path::{Path, PathBuf};

use bitgauge_core::Error;
use bitgauge_core::contract::Rules;
use bitgauge_core::contract::documents::documents_sha256;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::Architecture;
use bitgauge_core::report::{Report, words};
use bitgauge_eval::{EvaluateOptions, Queue, Tally};
use native_eval::documents::{self, Document, Documents, Pieces, TextSettings, TextTokenizer, Windows};
use native_eval::{
    OutputFile, Run, Shard, Source, find_tokenizer, loaded_inventory, own_tokenizer, tokenizer_files,
};

use self::devices::{Prepare, Shared, common_precision};
use self::ledger::Ledger;
use self::per_document::PerDocumentFile;
use super::args::{DeviceOptions, EvalOptions, Format};
use super::inspect::Reading;
use super::print::{detail, note, println};
use super::{Exit, Failure, contract, demo, device, inspect, interrupt, output, text};

/// Evaluates one artifact and prints its report with the perplexity.
pub fn run(options: &EvalOptions, format: Format) -> Result<Exit, Failure> {
    interrupt::keep("nothing is kept; --resume FILE keeps the documents that are finished");
    options.transformers.check_share(options.share.as_deref())?;
    let Outputs { report: file, resume, per_document } = Outputs::check(options)?;
    let windows = windows(options)?;
    let documents = texts(options)?;
    let mut source = inspect::open(
        &options.artifact,
        options.layout.as_deref(),
        options.transformers.into(),
        options.remote.access(true),
    )?;
    let tokenizer = match options.tokenizer.as_deref() {
        Some(path) => {
            find_tokenizer(&path.to_string_lossy(), Some(path), &contract::files()?, source.transformers())?
        }
        None => own_tokenizer(&mut source)?,
    };
    let job = Job {
        documents: &documents,
        tokenizer: &tokenizer.tokenizer,
        max_tokens: options.longest(),
        windows,
        device: &options.device,
        resume: resume.as_deref(),
        shard: options.shard.unwrap_or(Shard::WHOLE),
    };
    let Outcome { report, tally, kept } = job.run(&mut source, options.pack.into())?;
    if job.shard != Shard::WHOLE {
        kept?;
        print_shard(job.shard, &tally, format);
        return Ok(Exit::Done);
    }
    let written = output::write_report(&report, file.as_ref());
    if options.no_verdict && format == Format::Human {
        output::print_perplexity(&report);
    } else {
        output::print_report(&report, format, false);
    }
    let rows = per_document::rows(report.evaluation.as_ref(), &documents);
    if format == Format::Human {
        per_document::print(&rows);
    }
    if let Some(base) = &options.share {
        output::print_link(&report, base, format);
    }
    kept?;
    written?;
    per_document.map_or(Ok(()), |file| file.write(&rows))?;
    Ok(Exit::Done)
}

/// The windows that the options ask for.
fn windows(options: &EvalOptions) -> Result<Option<Windows>, Error> {
    let windows = |window: u32| Windows::new(window as usize, options.stride.unwrap_or(window / 2) as usize);
    options.window.map(windows).transpose()
}

/// The documents that the options name, or those of the demo; what was left out is said.
fn texts(options: &EvalOptions) -> Result<Vec<Document>, Error> {
    if options.documents.is_empty() {
        let documents = demo::documents()?;
        note!("no --documents: the {} documents of the built-in demo serve", documents.len());
        return Ok(documents);
    }
    let settings = TextSettings { lines: options.lines, text_key: options.text_key.clone() };
    let Documents { documents, notes } = documents::read(&options.documents, &settings)?;
    for note in notes {
        note!("{note}");
    }
    Ok(documents)
}

/// The files that an evaluation writes.
struct Outputs {
    report: Option<OutputFile>,
    resume: Option<PathBuf>,
    per_document: Option<PerDocumentFile>,
}

impl Outputs {
    /// Checks that they can be written and are none of those that are read.
    fn check(options: &EvalOptions) -> Result<Self, Error> {
        let mut taken = vec![options.artifact.clone()];
        taken.extend(options.documents.iter().filter(|path| path.as_os_str() != "-").cloned());
        taken.extend(options.layout.clone());
        taken.extend(options.tokenizer.iter().flat_map(|path| tokenizer_files(path)));
        let resume = output::check_file(options.resume.as_deref(), &taken)?;
        let resume = resume.map(|file| file.expect_regular().map(Path::to_owned)).transpose()?;
        taken.extend(resume.clone());
        let report = output::check_file(options.report.as_deref(), &taken)?;
        taken.extend(options.report.clone());
        let per_document = options.per_document.as_deref();
        let per_document = per_document.map(|path| PerDocumentFile::check(path, &taken)).transpose()?;
        Ok(Self { report, resume, per_document })
    }
}

/// What to evaluate an artifact on.
pub struct Job<'a> {
    /// The held-out texts.
    pub documents: &'a [Document],
    /// Turns them into ids.
    pub tokenizer: &'a TextTokenizer,
    /// Longest document in tokens.
    pub max_tokens: usize,
    /// How long documents are scored whole, if they are.
    pub windows: Option<Windows>,
    /// Where to run.
    pub device: &'a DeviceOptions,
    /// Where finished documents are kept, if they are.
    pub resume: Option<&'a Path>,
    /// Which of the documents.
    pub shard: Shard,
}

/// What an evaluation gave.
pub struct Outcome {
    /// The artifact's report with its perplexity; without it for a shard.
    pub report: Report,
    /// The documents evaluated.
    pub tally: Tally,
    /// Whether all of them are in the file of finished documents, if there is one.
    pub kept: Result<(), Error>,
}

impl Job<'_> {
    /// Inspects the artifact, evaluates it and gives the report of both.
    pub fn run(&self, source: &mut Source, rules: Rules) -> Result<Outcome, Failure> {
        let mut devices = device::open(self.device)?;
        for device in &devices {
            detail!("device: {}, {}", device.describe(), device.precision());
        }
        let precision = common_precision(&devices)?;
        let artifact = source.artifact().clone();
        let inventory = loaded_inventory(source, &artifact).map_err(|error| error.within(source.name()))?;
        for device in &mut devices {
            device.run(Prepare(&inventory))?;
        }
        let Tokens { pieces, cut } = self.tokens()?;
        let ids = &pieces.ids;
        let tokens: usize = ids.iter().map(Vec::len).sum();
        let all = words::plural(tokens as u64, "token");
        detail!("documents: {}, {all}", words::plural(self.documents.len() as u64, "document"));
        let hashes = inspect::scan(source, &inventory, Reading::Payload)?;
        let mut report = inspect::report(source, &inventory, rules, Some(&hashes));
        report.artifact.source = source.address();
        report.notes.extend(past_positions(&inventory, ids));
        let texts: Vec<String> = self.documents.iter().map(|document| document.text.clone()).collect();
        let options = EvaluateOptions {
            max_tokens: self.max_tokens,
            tokens_in_flight: self.device.tokens_in_flight.map(|n| n as usize),
            documents_sha256: documents_sha256(&texts),
        };
        let mut ledger = match self.resume {
            None => Ledger::in_memory(ids),
            Some(path) => {
                Ledger::open(path, &Run::new(self.shard, ids, &options, precision, report.clone())?, ids)?
            }
        };
        let earlier: f64 = ledger.tally.finished().map(|finished| finished.seconds).sum();
        let wanted: Vec<_> =
            ledger.tally.missing().filter(|&document| self.shard.has(document as u64)).collect();
        let queue = Queue::new(ids, wanted, devices.len()).with_context(&pieces.context);
        if let Some(words) = ledger.kept_words(0, queue.len()) {
            interrupt::keep(words);
        }
        let mut seconds = 0.0;
        if queue.tokens() > 0 {
            let shared = Shared::new(&queue, &mut ledger);
            seconds = shared.evaluate(&mut devices, source, &inventory, &options)?;
            for device in &devices {
                if let Some(bytes) = device.most_bytes() {
                    detail!("memory: at most {} on {}", words::bytes(bytes), device.describe());
                }
            }
        }
        let (tally, kept) = ledger.finish();
        let tally = tally.joined(&pieces.owners, self.documents.len());
        if self.shard == Shard::WHOLE {
            let mut evaluation = tally.evaluation(&options, precision, earlier + seconds)?;
            evaluation.cut_tokens = Some(cut);
            evaluation.window = self.windows.map(|windows| windows.window() as u64);
            evaluation.stride = self.windows.map(|windows| windows.stride() as u64);
            report.evaluation = Some(evaluation);
        }
        Ok(Outcome { report, tally, kept })
    }

    /// The token ids of the documents, cut or in windows.
    fn tokens(&self) -> Result<Tokens, Error> {
        let (mut ids, mut cut) = (Vec::new(), 0);
        for document in self.documents {
            let encoded = self.tokenizer.encode_counted(&document.text, self.max_tokens);
            let encoded = encoded.map_err(|error| error.within(&document.name))?;
            cut += encoded.cut as u64;
            ids.push(encoded.ids);
        }
        Ok(Tokens { pieces: Pieces::of(ids, self.windows), cut })
    }
}

/// What goes through the model.
struct Tokens {
    pieces: Pieces,
    /// Tokens that are cut off, of all documents together.
    cut: u64,
}

/// A note where texts are longer than what the model was made for.
fn past_positions(inventory: &Inventory, ids: &[Vec<u32>]) -> Option<String> {
    let Architecture::Decoder(decoder) = inventory.config.as_ref()?.architecture() else { return None };
    bitgauge_texts::past_positions(decoder.max_positions?, ids.iter().map(Vec::len))
}

/// A shard's own loss would be mistaken for the model's, so only what was done is told.
fn print_shard(shard: Shard, tally: &Tally, format: Format) {
    let own = || tally.finished().filter(|finished| shard.has(finished.document));
    let (documents, tokens) = (own().count() as u64, own().map(|finished| finished.tokens).sum::<u64>());
    match format {
        Format::Json => println!(
            "{}",
            serde_json::json!({ "shard": shard, "documents": documents, "scored_tokens": tokens })
        ),
        Format::Quiet => println!("{documents}"),
        Format::Human => {
            println!(
                "{}  {}, {}",
                text::heading(&format!("shard {shard}")),
                words::plural(documents, "document"),
                words::plural(tokens, "scored token")
            );
            println!("{}", text::faint("`bitgauge merge` joins the files of all shards"));
        }
    }
}
