//! Many backends in one process: they share a device, and do not disturb each other.

use std::path::Path;
use std::sync::Barrier;

use bitgauge_eval::{
    AdapterChoice, Backend, BackendError, Batch, GpuBackend, GpuOptions, Precision, ShaderPatch,
    devices_opened,
};
use bitgauge_shaders::Kernel;
use conformance::{fixtures, open_model};
use pollster::block_on;

use crate::kernels::{patch, put};

type Case = (&'static str, fn() -> Result<(), String>);

/// More backends than NVIDIA's Vulkan driver opens devices: 63.
const BACKENDS: usize = 70;
/// How often each of two threads does its work.
const ROUNDS: usize = 20;

const CASES: [Case; 4] = [
    ("share one device", share_one_device),
    ("close the device with the last of them", close_the_device),
    ("compute the same side by side", compute_side_by_side),
    ("keep their faults to themselves", keep_faults),
];

/// One case per property.
pub fn cases() -> Vec<(String, Result<(), String>)> {
    CASES.into_iter().map(|(name, case)| (format!("backends {name}"), case())).collect()
}

fn open(precision: Precision, patch: Option<ShaderPatch>) -> Result<GpuBackend, String> {
    let options = GpuOptions { precision, patch, ..GpuOptions::default() };
    text(GpuBackend::new(&AdapterChoice::Best, options))
}

fn text<T>(result: Result<T, BackendError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// Devices that `work` opens.
fn opened(work: impl FnOnce() -> Result<(), String>) -> Result<u64, String> {
    let before = devices_opened();
    work()?;
    Ok(devices_opened() - before)
}

/// Whether the backend finds that `x` and 1 are `x + 1`.
fn adds(backend: &mut GpuBackend, x: f32) -> Result<(), String> {
    let mut sum = text(put(backend, &[x], 1))?;
    let one = text(put(backend, &[1.0], 1))?;
    text(backend.add(&mut sum, &one))?;
    match text(block_on(backend.read(&sum)))?[..] {
        [sum] if sum.to_bits() == (x + 1.0).to_bits() => Ok(()),
        ref other => Err(format!("{x} and 1 are {other:?}")),
    }
}

/// All of them live at once, and each computes with its own numbers.
fn share_one_device() -> Result<(), String> {
    let devices = opened(|| {
        let backends: Result<Vec<_>, _> = (0..BACKENDS).map(|_| open(Precision::F32, None)).collect();
        let mut backends = backends?;
        for _ in 0..2 {
            for (number, backend) in backends.iter_mut().enumerate() {
                adds(backend, number as f32).map_err(|why| format!("backend {number}: {why}"))?;
            }
        }
        Ok(())
    })?;
    expect_devices(1, devices)
}

fn close_the_device() -> Result<(), String> {
    let devices = opened(|| {
        for _ in 0..3 {
            adds(&mut open(Precision::F32, None)?, 1.0)?;
        }
        Ok(())
    })?;
    expect_devices(3, devices)
}

fn expect_devices(want: u64, found: u64) -> Result<(), String> {
    if want == found { Ok(()) } else { Err(format!("{found} devices were opened, expected {want}")) }
}

/// Two backends in two threads give the losses that each gives alone, to the bit.
fn compute_side_by_side() -> Result<(), String> {
    for precision in [Precision::F32, Precision::F16] {
        let models = ["qwen3_tied", "qwen3_5_text"].map(|name| fixtures().join("models").join(name));
        let [one, other] = models.each_ref().map(|model| losses(model, precision, 1, &Barrier::new(1)));
        let alone = [one?, other?];
        if alone[0] == alone[1] {
            return Err("two models have the same losses".into());
        }
        let both = Barrier::new(2);
        let work = |model| losses(model, precision, ROUNDS, &both);
        let together = std::thread::scope(|scope| {
            let threads = models.each_ref().map(|model| scope.spawn(move || work(model)));
            threads.map(|thread| thread.join().unwrap_or_else(|_| Err("a panic".into())))
        });
        for ((together, alone), model) in together.into_iter().zip(alone).zip(models) {
            if together? != alone {
                return Err(format!("{}: other losses beside another, {precision:?}", model.display()));
            }
        }
    }
    Ok(())
}

/// The bits of a model's losses, computed anew with each round; fails if they change.
fn losses(model: &Path, precision: Precision, rounds: usize, start: &Barrier) -> Result<Vec<u32>, String> {
    let opened = open(precision, None).and_then(|mut backend| {
        let model = open_model(&mut backend, model)?;
        Ok((backend, model))
    });
    // Whoever fails must not keep the other waiting.
    start.wait();
    let (mut backend, model) = opened?;
    let mut batch = Batch::default();
    for (len, step) in [(70_u32, 7_u32), (33, 11)] {
        batch.push(&(0..len).map(|i| i * step % 101).collect::<Vec<_>>());
    }
    let mut all = Vec::new();
    for _ in 0..rounds {
        let losses = text(block_on(model.losses(&mut backend, &batch, &mut ())))?;
        all.push(losses.into_iter().map(f32::to_bits).collect::<Vec<_>>());
    }
    let first = all[0].clone();
    if all.iter().all(|losses| *losses == first) { Ok(first) } else { Err("losses that change".into()) }
}

/// One backend's kernel can't be built, again and again; the other, in another thread and in the same, is
/// not told.
fn keep_faults() -> Result<(), String> {
    let fault = patch(Kernel::Add, "residual[i] +=", "no_such_array[i] +=");
    let [mut faulty, mut sound] = [open(Precision::F32, Some(fault))?, open(Precision::F32, None)?];
    let start = Barrier::new(2);
    let [fails, works] = std::thread::scope(|scope| {
        let fails = scope.spawn(|| again_and_again(&start, || must_fail(&mut faulty)));
        let works = scope.spawn(|| again_and_again(&start, || adds(&mut sound, 2.0)));
        [fails, works].map(|thread| thread.join().unwrap_or_else(|_| Err("a panic".into())))
    });
    fails.and(works)?;
    must_fail(&mut faulty)?;
    adds(&mut sound, 3.0)
}

fn again_and_again(start: &Barrier, mut work: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    start.wait();
    (0..10 * ROUNDS).try_for_each(|_| work())
}

fn must_fail(backend: &mut GpuBackend) -> Result<(), String> {
    match adds(backend, 1.0) {
        Err(why) if why.contains("invalid use of the device") => Ok(()),
        other => Err(format!("expected a kernel that can't be built, found {other:?}")),
    }
}
