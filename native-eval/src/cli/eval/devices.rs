//! The devices of one evaluation: weights are read once for all of them, and each takes documents until none is left.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::Instant;

use bitgauge_core::inventory::Inventory;
use bitgauge_eval::weights::prepare;
use bitgauge_eval::{Backend, BackendError, EvaluateOptions, Queue, Tally, Task, WeightForms, work};
use native_eval::{Loader, Loading, Source, spawn_scoped};
use pollster::block_on;

use super::ledger::Ledger;
use crate::cli::Failure;
use crate::cli::device::Device;
use crate::cli::progress::{self, Bar};

/// The precision of all devices. Perplexities of a mixture could not be compared with any other.
///
/// # Errors
/// More than one.
pub(super) fn common_precision(devices: &[Device]) -> Result<&'static str, Failure> {
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

/// What the devices of one evaluation share.
pub struct Shared<'a> {
    queue: &'a Queue<'a>,
    ledger: Mutex<&'a mut Ledger>,
    loading: Bar,
    evaluating: Bar,
}

impl<'a> Shared<'a> {
    /// A queue, and where its losses go.
    pub fn new(queue: &'a Queue<'a>, ledger: &'a mut Ledger) -> Self {
        let (loading, evaluating) = (progress::bytes("loading", 0), progress::steps("evaluating"));
        Self { queue, ledger: Mutex::new(ledger), loading, evaluating }
    }

    /// Evaluates what is in the queue, each device on a thread of its own with its own copy of the
    /// weights, which are read once. Gives the seconds from the first batch to the last loss.
    ///
    /// # Errors
    /// Those of a device, and of reading the artifact.
    pub fn evaluate(
        &self,
        devices: &mut [Device],
        source: &Source,
        inventory: &Inventory,
        options: &EvaluateOptions,
    ) -> Result<f64, Failure> {
        let bytes: u64 = inventory.artifact.tensors.iter().map(|tensor| tensor.bytes).sum();
        self.loading.set_total(bytes * devices.len() as u64);
        // In forms that every device takes.
        let forms = devices.iter().map(Device::weight_forms).reduce(WeightForms::and).unwrap_or_default();
        let loader = Loader::new(inventory, source, forms);
        let results: Vec<Result<Instant, Failure>> = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            let loadings = match loader.start(scope, devices.len()) {
                Ok(loadings) => loadings,
                Err(error) => return vec![Err(error.into())],
            };
            for (device, loading) in devices.iter_mut().zip(loadings) {
                let task = LoadAndEvaluate { shared: self, source: source.again(), loading, options };
                let thread = spawn_scoped(scope, move || device.run(task));
                threads.push(thread.inspect_err(|_| self.queue.stop()));
            }
            let join = |thread: Result<ScopedJoinHandle<_>, BackendError>| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(error) => Err(error.into()),
            };
            threads.into_iter().map(join).collect()
        });
        self.loading.finish();
        self.evaluating.finish();
        let begins = results.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(begins.into_iter().min().map_or(0.0, |begin| begin.elapsed().as_secs_f64()))
    }
}

/// Getting ready while the artifact is inspected.
pub(super) struct Prepare<'a>(pub &'a Inventory<'a>);

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
    loading: Loading<'a>,
    options: &'a EvaluateOptions,
}

impl Task for LoadAndEvaluate<'_, '_> {
    type Output = Result<Instant, Failure>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let Shared { queue, ledger, loading, evaluating } = self.shared;
        let model = self.loading.finish(backend, &mut |bytes| loading.add(bytes));
        // What was loaded is what was inspected, so every loss from here on is of that artifact.
        self.source.expect_unchanged().inspect_err(|_| queue.stop())?;
        let model = model.inspect_err(|_| queue.stop())?;
        loading.finish();
        let start = Instant::now();
        let finished = &mut |batch| {
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            ledger.add(batch)?;
            evaluating.say(so_far(&ledger.tally));
            Ok::<_, Failure>(())
        };
        let told = &mut |done, total| evaluating.set(done, total);
        block_on(work(backend, &model, queue, self.options.tokens_in_flight, finished, told))?;
        Ok(start)
    }
}

/// The perplexity so far, for the progress bar.
fn so_far(tally: &Tally) -> String {
    tally.perplexity().map_or_else(|| "evaluating".to_owned(), |perplexity| format!("ppl {perplexity:.4}"))
}
