//! `bitgauge eval`: perplexity on held-out documents.

use bitgauge_core::contract::documents::documents_sha256;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::report::{Evaluation, Report};
use native_eval::documents::{self, TextTokenizer};
use native_eval::{Backend, EvaluateOptions, Source, Task, evaluate, find_tokenizer, load, own_tokenizer};

use super::args::{DeviceOptions, EvalOptions, Format};
use super::{Exit, Failure, contract, device, inspect, output, progress};

/// Evaluates one artifact and prints its report with the perplexity.
pub fn run(options: &EvalOptions, format: Format) -> Result<Exit, Failure> {
    let documents = documents::read(&options.documents)?;
    let mut source = Source::open(&options.artifact)?;
    let tokenizer = match options.tokenizer.as_deref() {
        Some(path) => find_tokenizer(&path.to_string_lossy(), Some(path), &contract::files()?)?,
        None => own_tokenizer(&mut source)?,
    };
    let job = Job {
        documents: &documents,
        tokenizer: &tokenizer.tokenizer,
        max_tokens: options.max_tokens as usize,
        device: &options.device,
    };
    let report = job.run(&mut source, options.pack.into())?;
    if let Some(path) = &options.report {
        output::write_report(&report, path)?;
    }
    output::print_report(&report, format, false);
    Ok(Exit::Done)
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
}

impl Job<'_> {
    /// Inspects the artifact, evaluates it and gives the report of both.
    pub fn run(&self, source: &mut Source, pack: bitgauge_core::contract::Pack) -> Result<Report, Failure> {
        let artifact = source.artifact().clone();
        let inventory = Inventory::of(&artifact).map_err(|error| error.within(source.name()))?;
        let ids = self.documents.iter().map(|text| self.tokenizer.encode(text, self.max_tokens));
        let ids: Vec<Vec<u32>> = ids.collect::<Result<_, _>>()?;
        let hashes = inspect::scan(source, &inventory)?;
        let mut report = inspect::report(source, &inventory, pack, Some(&hashes));
        let options = EvaluateOptions {
            max_tokens: self.max_tokens,
            tokens_in_flight: self.device.tokens_in_flight.map(|n| n as usize),
            documents_sha256: documents_sha256(self.documents),
        };
        let task = LoadAndEvaluate { source, inventory: &inventory, ids: &ids, options: &options };
        report.evaluation = Some(device::run(self.device, task)?);
        Ok(report)
    }
}

/// Loading and evaluating on a chosen backend.
struct LoadAndEvaluate<'a> {
    source: &'a mut Source,
    inventory: &'a Inventory<'a>,
    ids: &'a [Vec<u32>],
    options: &'a EvaluateOptions,
}

impl Task for LoadAndEvaluate<'_> {
    type Output = Result<Evaluation, Failure>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let bar = progress::bytes("loading", self.inventory.artifact.tensors.iter().map(|t| t.bytes).sum());
        let model = load(backend, self.source, self.inventory, &mut |bytes| bar.inc(bytes));
        bar.finish_and_clear();
        let model = model?;
        let bar = progress::steps("evaluating", 0);
        let evaluation = evaluate(backend, &model, self.ids, self.options, &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        Ok(evaluation?)
    }
}
