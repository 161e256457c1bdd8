//! `bitgauge eval`: perplexity on held-out documents.

use bitgauge_core::report::words;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::Instant;

use bitgauge_core::Error;
use bitgauge_core::contract::Rules;
use bitgauge_core::contract::documents::documents_sha256;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::report::Report;
use indicatif::ProgressBar;
use native_eval::documents::{self, TextTokenizer};
use native_eval::{
    Backend, BackendError, EvaluateOptions, Finished, LossFile, OutputFile, Queue, Resumed, Run, Shard,
    Source, Tally, Task, find_tokenizer, load, loaded_inventory, own_tokenizer, prepare, spawn_scoped,
    tokenizer_files, work,
};

use super::args::{DeviceOptions, EvalOptions, Format};
use super::device::Device;
use super::inspect::Reading;
use super::print::{eprintln, println};
use super::{Exit, Failure, contract, device, inspect, interrupt, output, progress, text};

/// Evaluates one artifact and prints its report with the perplexity.
pub fn run(options: &EvalOptions, format: Format) -> Result<Exit, Failure> {
    interrupt::keep("nothing is kept; --resume FILE keeps the documents that are finished");
    let Outputs { report: file, resume } = Outputs::check(options)?;
    let documents = documents::read(&options.documents)?;
    let mut source = inspect::open(&options.artifact, options.layout.as_deref())?;
    let tokenizer = match options.tokenizer.as_deref() {
        Some(path) => find_tokenizer(&path.to_string_lossy(), Some(path), &contract::files()?)?,
        None => own_tokenizer(&mut source)?,
    };
    let job = Job {
        documents: &documents,
        tokenizer: &tokenizer.tokenizer,
        max_tokens: options.max_tokens as usize,
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
    output::print_report(&report, format, false);
    kept?;
    written?;
    Ok(Exit::Done)
}

/// The files that an evaluation writes.
struct Outputs {
    report: Option<OutputFile>,
    resume: Option<PathBuf>,
}

impl Outputs {
    /// Checks that they can be written and are none of those that are read.
    fn check(options: &EvalOptions) -> Result<Self, Error> {
        let mut taken = vec![options.artifact.clone(), options.documents.clone()];
        taken.extend(options.layout.clone());
        taken.extend(options.tokenizer.iter().flat_map(|path| tokenizer_files(path)));
        let resume = output::check_file(options.resume.as_deref(), &taken)?;
        let resume = resume.map(|file| file.expect_regular().map(Path::to_owned)).transpose()?;
        taken.extend(resume.clone());
        Ok(Self { report: output::check_file(options.report.as_deref(), &taken)?, resume })
    }
}

/// What to evaluate an artifact on.
pub struct Job<'a> {
    /// The held-out texts.
    pub documents: &'a [String],
    /// Turns them into ids.
    pub tokenizer: &'a TextTokenizer,
    /// Longest document in tokens.
    pub max_tokens: usize,
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
        let precision = common_precision(&devices)?;
        let artifact = source.artifact().clone();
        let inventory = loaded_inventory(source, &artifact).map_err(|error| error.within(source.name()))?;
        for device in &mut devices {
            device.run(Prepare(&inventory))?;
        }
        let ids = self.documents.iter().map(|text| self.tokenizer.encode(text, self.max_tokens));
        let ids: Vec<Vec<u32>> = ids.collect::<Result<_, _>>()?;
        let hashes = inspect::scan(source, &inventory, Reading::Payload)?;
        let mut report = inspect::report(source, &inventory, rules, Some(&hashes));
        let options = EvaluateOptions {
            max_tokens: self.max_tokens,
            tokens_in_flight: self.device.tokens_in_flight.map(|n| n as usize),
            documents_sha256: documents_sha256(self.documents),
        };
        let mut ledger = match self.resume {
            None => Ledger { tally: Tally::of(&ids), file: None, behind: 0, kept: None },
            Some(path) => {
                Ledger::open(path, &Run::new(self.shard, &ids, &options, precision, report.clone())?, &ids)?
            }
        };
        let earlier: f64 = ledger.tally.finished().map(|finished| finished.seconds).sum();
        let wanted: Vec<_> =
            ledger.tally.missing().filter(|&document| self.shard.has(document as u64)).collect();
        let queue = Queue::new(&ids, wanted, devices.len());
        if let Some(words) = ledger.kept_words(0, queue.len()) {
            interrupt::keep(words);
        }
        let mut seconds = 0.0;
        if queue.tokens() > 0 {
            let shared = Shared {
                queue: &queue,
                ledger: Mutex::new(&mut ledger),
                loading: progress::bytes("loading", 0),
                evaluating: progress::steps("evaluating", 0),
            };
            seconds = shared.evaluate(&mut devices, source, &inventory, &options)?;
        }
        let (tally, kept) = ledger.finish();
        if self.shard == Shard::WHOLE {
            report.evaluation = Some(tally.evaluation(&options, precision, earlier + seconds)?);
        }
        Ok(Outcome { report, tally, kept })
    }
}

/// The precision of all devices. Perplexities of a mixture could not be compared with any other.
fn common_precision(devices: &[Device]) -> Result<&'static str, Failure> {
    let precisions: Vec<_> = devices.iter().map(Device::precision).collect();
    match precisions.iter().position(|precision| *precision != precisions[0]) {
        None => Ok(precisions.first().copied().unwrap_or_default()),
        Some(other) => Err(Failure(format!(
            "the devices compute in different precisions\n  expected: {} as on {}\n  found:    {} on {}\n  \
             hint:     --precision f32 is the same everywhere",
            precisions[0],
            devices[0].describe(),
            precisions[other],
            devices[other].describe()
        ))),
    }
}

/// The finished documents, in memory and on disk.
struct Ledger {
    tally: Tally,
    file: Option<LossFile>,
    /// How many finished documents the file lacks.
    behind: usize,
    /// What is in the file.
    kept: Option<Kept>,
}

/// Documents with something to score, of those that this run evaluates.
struct Kept {
    path: PathBuf,
    finished: usize,
    waiting: usize,
}

impl Ledger {
    fn open(path: &Path, run: &Run, ids: &[Vec<u32>]) -> Result<Self, Failure> {
        let Resumed { file, tally, warnings } = LossFile::open(path, run, ids)?;
        for warning in warnings {
            eprintln!("{}", text::faint(&format!("{}: {warning}", path.display())));
        }
        let finished = tally.finished().filter(|finished| finished.tokens > 0).count();
        if finished > 0 {
            eprintln!("{}", text::faint(&format!("{}: {finished} documents are finished", path.display())));
        }
        let kept = Some(Kept { path: path.to_owned(), finished, waiting: 0 });
        Ok(Self { tally, file: Some(file), behind: 0, kept })
    }

    /// Adds finished documents. A file that can't be written, as on a full disk, ends nothing: it is tried again with
    /// the next documents.
    fn add(&mut self, finished: Vec<Finished>) -> Result<(), Failure> {
        // An interrupt waits for whole lines, and counts them.
        let mut uninterrupted = interrupt::kept();
        if let Some(file) = &mut self.file {
            let added = file.append(&finished);
            if let (Err(error), 0) = (&added, self.behind) {
                eprintln!("{}: the evaluation goes on without it: {error}", text::unsure("warning"));
            }
            let unkept = self.behind + finished.len();
            self.behind = if added.is_ok() { 0 } else { unkept };
            *uninterrupted = self.kept_words(unkept - self.behind, 0);
        }
        self.tally.extend(finished);
        Ok(())
    }

    /// The documents, and whether all of them are on disk.
    fn finish(mut self) -> (Tally, Result<(), Error>) {
        let kept = self.file.as_mut().map_or(Ok(()), LossFile::finish);
        (self.tally, kept)
    }

    /// What an interrupt is to say, with so many documents more in the file, and so many more that wait.
    fn kept_words(&mut self, finished: usize, waiting: usize) -> Option<String> {
        let kept = self.kept.as_mut()?;
        kept.waiting = kept.waiting + waiting - finished;
        kept.finished += finished;
        let (finished, all) = (kept.finished, kept.finished + kept.waiting);
        let path = kept.path.display();
        Some(format!("{finished} of {all} documents are kept in {path}; the same command goes on from there"))
    }
}

/// What the devices of one evaluation share.
struct Shared<'a> {
    queue: &'a Queue<'a>,
    ledger: Mutex<&'a mut Ledger>,
    loading: ProgressBar,
    evaluating: ProgressBar,
}

impl Shared<'_> {
    /// Evaluates what is in the queue, each device on a thread of its own with its own copy of the
    /// weights. Gives the seconds from the first batch to the last loss.
    fn evaluate(
        &self,
        devices: &mut [Device],
        source: &Source,
        inventory: &Inventory,
        options: &EvaluateOptions,
    ) -> Result<f64, Failure> {
        let bytes: u64 = inventory.artifact.tensors.iter().map(|tensor| tensor.bytes).sum();
        self.loading.set_length(bytes * devices.len() as u64);
        let results: Vec<Result<Instant, Failure>> = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for device in devices {
                let task = LoadAndEvaluate { shared: self, source: source.again(), inventory, options };
                let thread = spawn_scoped(scope, move || device.run(task));
                threads.push(thread.inspect_err(|_| self.queue.stop()));
            }
            let join = |thread: Result<ScopedJoinHandle<_>, BackendError>| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(error) => Err(error.into()),
            };
            threads.into_iter().map(join).collect()
        });
        self.loading.finish_and_clear();
        self.evaluating.finish_and_clear();
        let begins = results.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(begins.into_iter().min().map_or(0.0, |begin| begin.elapsed().as_secs_f64()))
    }
}

/// Getting ready while the artifact is inspected.
struct Prepare<'a>(&'a Inventory<'a>);

impl Task for Prepare<'_> {
    type Output = Result<(), Failure>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        Ok(prepare(backend, self.0)?)
    }
}

/// Loading and evaluating on one of the devices. Gives the moment at which the weights were in place.
struct LoadAndEvaluate<'a, 's> {
    shared: &'a Shared<'s>,
    source: Source,
    inventory: &'a Inventory<'a>,
    options: &'a EvaluateOptions,
}

impl Task for LoadAndEvaluate<'_, '_> {
    type Output = Result<Instant, Failure>;

    fn run<B: Backend>(mut self, backend: &mut B) -> Self::Output {
        let Shared { queue, ledger, loading, evaluating } = self.shared;
        let model = load(backend, &mut self.source, self.inventory, &mut |bytes| loading.inc(bytes));
        // What was loaded is what was inspected, so every loss from here on is of that artifact.
        self.source.expect_unchanged().inspect_err(|_| queue.stop())?;
        let model = model.inspect_err(|_| queue.stop())?;
        loading.finish_and_clear();
        let start = Instant::now();
        let finished = &mut |batch| ledger.lock().unwrap_or_else(PoisonError::into_inner).add(batch);
        work(backend, &model, queue, self.options.tokens_in_flight, finished, &mut |done, total| {
            evaluating.set_length(total);
            evaluating.set_position(done);
        })?;
        Ok(start)
    }
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
                "{}  {} documents, {} scored tokens",
                text::heading(&format!("shard {shard}")),
                words::count(documents),
                words::count(tokens)
            );
            println!("{}", text::faint("`bitgauge merge` joins the files of all shards"));
        }
    }
}
