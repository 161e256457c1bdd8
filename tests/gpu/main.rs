//! The GPU kernels: every shader is valid everywhere, and every kernel agrees with its CPU twin on
//! the first adapter. An argument runs only the cases whose name contains it.
//!
//! Without an adapter this fails: a software Vulkan driver is enough, and what was not run was not
//! tested.

mod attention;
mod checks;
mod compare;
mod data;
mod delta_net;
mod half_products;
mod kernels;
mod linear;
mod neighbours;
mod operations;
mod refusals;
mod rotary;
mod shaders;
mod sharing;
mod trials;
mod uploads;

use std::collections::HashMap;

use bitgauge_eval::{AdapterChoice, GpuBackend, GpuOptions, Precision, ShaderPatch, adapters};

use compare::compare;
use kernels::Case;

const NO_ADAPTER: &str = "no GPU adapter was found, so no kernel was tested. Install a software Vulkan driver:\n\
    \x20 Debian, Ubuntu: apt-get install mesa-vulkan-drivers\n\
    \x20 Fedora: dnf install mesa-vulkan-drivers";

/// Backends by precision, binding limit and fault, because a pipeline is slow to build.
type Backends = HashMap<(Precision, Option<u64>, Option<ShaderPatch>), GpuBackend>;

fn main() {
    let filter = std::env::args().nth(1).filter(|arg| !arg.starts_with('-')).unwrap_or_default();
    let mut tally = Tally { filter, passed: 0, failed: 0, skipped: 0 };
    tally.add_all(shaders::cases());
    tally.add_all(compare::cases());
    match adapters().first() {
        None => tally.add("an adapter", || Err(NO_ADAPTER.into())),
        Some(adapter) => {
            println!("adapter: {adapter}");
            tally.add_all(refusals::cases());
            tally.add_all(uploads::cases());
            tally.add_all(checks::cases());
            tally.add_all(sharing::cases());
            if adapter.has_cooperative_matrices {
                tally.add_all(neighbours::cases());
            }
            let mut backends = Backends::new();
            let mut worst = HashMap::new();
            let cases = kernels::cases();
            tally.add("every kernel has faults", || kernels::every_kernel_has_faults(&cases));
            for (precision, case) in cases {
                if precision == Precision::F16 && !adapter.has_cooperative_matrices {
                    tally.skipped += 1;
                    continue;
                }
                tally.add(&case.name, || {
                    let error = check(&case, precision, &mut backends)?;
                    let kernel = case.name.split(',').next().unwrap_or_default().to_owned();
                    let entry: &mut f64 = worst.entry((kernel, case.bound.to_bits())).or_default();
                    *entry = entry.max(error);
                    Ok(())
                });
            }
            let mut worst: Vec<_> = worst.into_iter().collect();
            worst.sort_by(|a, b| a.0.cmp(&b.0));
            for ((kernel, bound), error) in worst {
                println!("{kernel}: largest error {error:.2e}, bound {:.0e}", f64::from_bits(bound));
            }
        }
    }
    if tally.skipped > 0 {
        println!("skipped: {} cases that need an adapter with cooperative matrices", tally.skipped);
    }
    println!("cases: {} passed, {} failed", tally.passed, tally.failed);
    std::process::exit(i32::from(tally.failed > 0 || tally.passed == 0));
}

struct Tally {
    filter: String,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Tally {
    fn add(&mut self, name: &str, case: impl FnOnce() -> Result<(), String>) {
        if !name.contains(&self.filter) {
            return;
        }
        match case() {
            Ok(()) => self.passed += 1,
            Err(why) => {
                self.failed += 1;
                println!("FAILED {name}\n  {why}");
            }
        }
    }

    fn add_all(&mut self, cases: Vec<(String, Result<(), String>)>) {
        for (name, result) in cases {
            self.add(&name, || result);
        }
    }
}

/// The kernel agrees with its twin; each faulty shader and one flipped bit do not.
fn check(case: &Case, precision: Precision, backends: &mut Backends) -> Result<f64, String> {
    let sound = backend(backends, (precision, case.limit, None))?;
    let got = (case.run)(sound, false).map_err(|e| e.to_string())?;
    let error = compare(&got, &case.want, case.bound)?;

    let got = (case.run)(sound, true).map_err(|e| format!("with a flipped bit: {e}"))?;
    if compare(&got, &case.want, case.bound).is_ok() {
        return Err("one flipped bit went unnoticed".into());
    }
    for patch in &case.patches {
        let faulty = backend(backends, (precision, case.limit, Some(patch.clone())))?;
        let got = (case.run)(faulty, false).map_err(|e| format!("with {patch:?}: {e}"))?;
        if compare(&got, &case.want, case.bound).is_ok() {
            return Err(format!("a faulty shader went unnoticed: {patch:?}"));
        }
    }
    Ok(error)
}

fn backend(
    backends: &mut Backends,
    settings: (Precision, Option<u64>, Option<ShaderPatch>),
) -> Result<&mut GpuBackend, String> {
    use std::collections::hash_map::Entry;
    match backends.entry(settings) {
        Entry::Occupied(entry) => Ok(entry.into_mut()),
        Entry::Vacant(entry) => {
            let (precision, max_binding_bytes, patch) = entry.key().clone();
            let options = GpuOptions { max_binding_bytes, precision, patch, ..GpuOptions::default() };
            let backend = GpuBackend::new(&AdapterChoice::Best, options).map_err(|e| e.to_string())?;
            Ok(entry.insert(backend))
        }
    }
}
