//! Golden and random models with f16 products, in each way that the adapter has to multiply f16: every
//! token's loss in units of what rounding does to it, and the mean loss.

use std::path::Path;

use bitgauge_eval::{AdapterChoice, AdapterInfo, Backend, GpuBackend, GpuOptions, Precision, Task, adapters};
use conformance::{Tally, compare};

use super::flip::{Caught, Copy};
use super::noise::{Bound, Losses, Noise};
use super::sequences;

/// Absolute bound on the mean loss of a run, in nats.
const MEAN_LOSS: f64 = 5e-3;

/// A precision, and what it stands for.
struct Way {
    precision: Precision,
    kernel: &'static str,
    is_there: fn(&AdapterInfo) -> bool,
    rounds_attention: bool,
    bound: Bound,
}

/// On the golden models the root mean square of the errors was 0.9 to 1.5 where the factors are rounded on the
/// CPU, in two orders of summing, and 1.0 to 1.5 in the plain kernel; the largest error of a token 9.0. What a
/// few tokens depend on can be chaotic, so there is more room for one than for all.
const FACTORS: Bound = Bound { floor: 1e-5, noise: 1.0, all: 2.5, each: 25.0 };

const WAYS: [Way; 2] = [
    Way {
        precision: Precision::F16Plain,
        kernel: "f16",
        is_there: |adapter| adapter.has_f16,
        rounds_attention: false,
        // Eight products are rounded and summed in f16. The squares of the errors of one such sum add up to
        // 8 (rounded products) + 1 + 2 + .. 8 (partial sums) times that of a factor, where those of eight
        // factors are 8: 6.5 times in all.
        bound: Bound { noise: 2.55, ..FACTORS },
    },
    Way {
        precision: Precision::F16,
        kernel: "f16, cooperative matrices",
        is_there: |adapter| adapter.has_cooperative_matrices,
        rounds_attention: true,
        bound: FACTORS,
    },
];

/// Every case of these models. Without an adapter there is none: the suite's other cases fail then.
pub fn cases(tally: &mut Tally, folder: &Path, name: &str) {
    let adapters = adapters();
    let Some(adapter) = adapters.first() else { return };
    for way in &WAYS {
        let kernel = way.kernel;
        if !(way.is_there)(adapter) {
            tally.skip(&format!("{name} {kernel}"), &format!("{adapter} has none"));
            continue;
        }
        let mut backend = match way.open() {
            Ok(backend) => backend,
            Err(why) => {
                tally.case(&format!("{name} {kernel}"), Err(why));
                continue;
            }
        };
        for sequence in sequences(folder) {
            let result = way.check(&mut backend, folder, sequence);
            tally.case(&format!("{name} {sequence} {kernel}"), result);
        }
        tally.case(&format!("{name} flipped weights {kernel}"), way.flips(&mut backend, folder));
    }
}

impl Way {
    fn open(&self) -> Result<GpuBackend, String> {
        let options = GpuOptions { precision: self.precision, ..GpuOptions::default() };
        let backend = GpuBackend::new(&AdapterChoice::Best, options).map_err(|e| e.to_string())?;
        match backend.precision() {
            found if found == self.kernel => Ok(backend),
            found => Err(format!("it runs in {found}")),
        }
    }

    /// Holds a run's losses against the recorded ones.
    fn check(&self, backend: &mut GpuBackend, folder: &Path, sequence: &str) -> Result<String, String> {
        let [got, want] = Losses { folder, sequence }.run(backend)?;
        let noise = Noise::measure(folder, sequence, self.rounds_attention)?;
        let text = noise.check(&got, &want, self.bound)?;
        let means = [got, want].map(|nats| super::mean(&nats));
        let mean = compare("mean loss", &means[..1], &means[1..], MEAN_LOSS)?.worst;
        Ok(format!("{text}, the mean by {mean:.1e} of {:.3} nats", means[1]))
    }

    /// Flips weights of every matrix.
    fn flips(&self, backend: &mut GpuBackend, folder: &Path) -> Result<String, String> {
        let copy = Copy::of(folder)?;
        let noise = Noise::measure(folder, "s33", self.rounds_attention)?;
        let flips = copy.flips(&noise, self.bound)?;
        Caught { copy: &copy, flips: &flips, noise: &noise, bound: self.bound }.run(backend)
    }
}
