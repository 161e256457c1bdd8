//! Golden models with f16 products: their mean losses, in each way that the adapter has to multiply f16.

use std::path::Path;

use conformance::{Tally, compare, golden_models, open_model};
use native_eval::{AdapterChoice, AdapterInfo, Backend, GpuBackend, GpuOptions, Precision, Task, adapters};

use super::{Golden, Run, flip_weights, unsupported};

/// Absolute bound on the mean loss of a run, in nats.
const MEAN_LOSS: f64 = 5e-3;
/// Weights that the mutation flips: one would hide behind f16's own rounding.
const FLIPPED: usize = 2_000;

/// Which kernel a precision stands for, and what it needs.
type Way = (Precision, &'static str, fn(&AdapterInfo) -> bool);

const WAYS: [Way; 2] = [
    (Precision::F16Plain, "f16", |adapter| adapter.has_f16),
    (Precision::F16, "f16, cooperative matrices", |adapter| adapter.has_cooperative_matrices),
];

/// Every case. Without an adapter there is none: the suite's other cases fail then.
pub fn cases(tally: &mut Tally) {
    let adapters = adapters();
    let Some(adapter) = adapters.first() else { return };
    for folder in golden_models().into_iter().filter(|folder| unsupported(folder).is_none()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (precision, kernel, is_there) in WAYS {
            if !is_there(adapter) {
                tally.skip(&format!("{name} {kernel}"), &format!("{adapter} has none"));
                continue;
            }
            for sequence in ["s33", "s130"] {
                let result = run(precision, kernel, &folder, sequence);
                tally.case(&format!("{name} {sequence} {kernel}"), result);
            }
            let damaged = flip_weights(&folder, FLIPPED);
            let caught = match run(precision, kernel, damaged.path(), "s33") {
                Err(why) if why.contains("off by") => Ok(format!("caught: {why}")),
                Err(why) => Err(why),
                Ok(remark) => Err(format!("flipped weights went unnoticed: {remark}")),
            };
            tally.case(&format!("{name} flipped weights {kernel}"), caught);
        }
    }
}

fn run(precision: Precision, kernel: &str, folder: &Path, sequence: &str) -> Result<String, String> {
    let options = GpuOptions { precision, ..GpuOptions::default() };
    let mut backend = GpuBackend::new(&AdapterChoice::Best, options).map_err(|e| e.to_string())?;
    if backend.precision() != kernel {
        return Err(format!("it ran in {}", backend.precision()));
    }
    MeanLoss { folder, sequence }.run(&mut backend)
}

/// The mean loss of one model and sequence length.
struct MeanLoss<'a> {
    folder: &'a Path,
    sequence: &'a str,
}

impl Task for MeanLoss<'_> {
    type Output = Result<String, String>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let golden = Golden::read(self.folder, self.sequence)?;
        let model = open_model(backend, self.folder)?;
        let [got, want] = Run::new(&golden, false).losses(backend, &model)?.map(|nats| super::mean(&nats));
        let worst = compare("mean loss", &[got], &[want], MEAN_LOSS)?.worst;
        Ok(format!("off by {worst:.1e} of {want:.3} nats"))
    }
}
