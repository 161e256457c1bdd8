//! `bitgauge benchmark`: the validator's direct run.

use bitgauge_core::container::TensorEntry;
use bitgauge_core::contract::Halt;
use bitgauge_core::contract::direct::{Measured, Revision, RunOutput};
use bitgauge_core::model::Transformers;
use bitgauge_eval::{Backend, Task};
use native_eval::{
    Benchmark, LogitLimits, Opened, OutputFile, Prepared, ReferenceBackend, Source, start_threads,
};

use super::args::{BenchmarkOptions, DeviceChoice, DeviceName, DeviceOptions, Format};
use super::print::note;
use super::{Exit, Failure, contract, device, interrupt, progress};

/// Runs the benchmark that the environment describes.
pub fn run(options: &BenchmarkOptions, format: Format) -> Result<Exit, Failure> {
    interrupt::keep("nothing is kept, and no result is written");
    let (environment, files) = (contract::environment(), contract::files()?);
    let result = options.contract.check_result(&environment, &files, options.tokenizer.as_deref())?;
    let config = options.contract.config.read()?;
    let corpus = options.contract.read_corpus()?;
    let benchmark = Benchmark {
        config: &config,
        environment: &environment,
        corpus: corpus.as_ref(),
        files: &files,
        revision: options.revision.into(),
        scorer: options.scorer.map(Into::into),
        tokenizer: options.tokenizer.as_deref(),
        logits: LogitLimits { positions: options.limit_positions, vocabulary: options.limit_vocabulary },
    };
    let device = device_options(&options.device, environment.get("AUTORESEARCH_EVAL_DEVICE"));
    let verdict = match score(&benchmark, &device?, options.transformers.into(), &result) {
        Ok(verdict) => verdict,
        Err(Stopped::Halt(halt)) => return contract::halted(halt),
        Err(Stopped::Failure(failure)) => return Err(failure),
    };
    if benchmark.revision != Revision::default() {
        let name = benchmark.revision.name();
        note!("scored as the validator's revision {name}");
    }
    options.contract.finish(&result, &verdict, format)
}

/// Why a run ended early: with the validator's words, or for want of a device.
enum Stopped {
    Halt(Halt),
    Failure(Failure),
}

impl<E: Into<Halt>> From<E> for Stopped {
    fn from(halt: E) -> Self {
        Self::Halt(halt.into())
    }
}

fn score(
    benchmark: &Benchmark,
    device: &DeviceOptions,
    transformers: Transformers,
    result: &OutputFile,
) -> Result<RunOutput, Stopped> {
    let run = benchmark.prepare()?;
    result.expect_apart(&benchmark.files.paths_read())?;
    let measured = match benchmark.open(&run)? {
        Opened::Stub(measured) => measured,
        Opened::Model(mut source) => {
            source.set_transformers(transformers);
            let task = Measure { benchmark, run: &run, source: &mut source };
            if device.device == DeviceChoice::Named(vec![DeviceName::Cpu]) && task.is_small() {
                start_threads().map_err(|error| Stopped::Failure(error.into()))?;
                task.run(&mut ReferenceBackend).map_err(Stopped::Failure)??
            } else {
                device::run(device, task).map_err(Stopped::Failure)??
            }
        }
    };
    Ok(benchmark.judge(&run, &measured)?)
}

/// The device of the options, else the one that the environment names.
fn device_options(options: &DeviceOptions, named: Option<&str>) -> Result<DeviceOptions, Failure> {
    let device = match (options.device.clone(), named.unwrap_or("")) {
        (DeviceChoice::Auto, "cpu") => DeviceChoice::Named(vec![DeviceName::Cpu]),
        (DeviceChoice::Auto, name) if name == "cuda" || name.starts_with("cuda:") => {
            note!("the validator's CUDA run is in fp16; this one is in fp32");
            let index = name.strip_prefix("cuda:").and_then(|index| index.parse().ok());
            DeviceChoice::Named(vec![DeviceName::Gpu(index.unwrap_or(0))])
        }
        (DeviceChoice::Auto, name) if !name.is_empty() => {
            return Err(Failure(format!(
                "AUTORESEARCH_EVAL_DEVICE={name} is not a device that bitgauge knows\n  \
                 expected: cpu, cuda or cuda:INDEX\n  hint:     --device overrides it"
            )));
        }
        (device, _) => device,
    };
    Ok(DeviceOptions { device, ..options.clone() })
}

/// Loading and scoring on a chosen backend.
struct Measure<'a> {
    benchmark: &'a Benchmark<'a>,
    run: &'a Prepared,
    source: &'a mut Source,
}

/// Most multiply-adds, roughly, that are worth doing in f64: a second or less.
const SMALL_WORK: u64 = 500_000_000;

impl Measure<'_> {
    /// Whether the whole run is so small that it may as well be done in f64.
    fn is_small(&self) -> bool {
        let elements = |tensor: &TensorEntry| tensor.shape.iter().product::<u64>();
        let weights: u64 = self.source.artifact().tensors.iter().map(elements).sum();
        // A byte a token is the most that a tokenizer makes of a text.
        let longest = |text: &String| (text.len() as u64).min(self.benchmark.environment.max_tokens());
        let tokens: u64 = self.run.documents.iter().map(longest).sum();
        weights.saturating_mul(tokens) <= SMALL_WORK
    }
}

impl Task for Measure<'_> {
    type Output = Result<Result<Measured, Halt>, Failure>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let bytes = self.source.artifact().tensors.iter().map(|tensor| tensor.bytes).sum();
        let (loading, scoring) = (progress::bytes("loading", bytes), progress::steps("scoring"));
        let measured = self.benchmark.measure(
            backend,
            self.run,
            self.source,
            &mut |bytes| loading.add(bytes),
            &mut |done, total| {
                loading.finish();
                scoring.set(done, total);
            },
        );
        loading.finish();
        scoring.finish();
        Ok(measured)
    }
}
