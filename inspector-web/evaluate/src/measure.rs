//! A measurement from its beginning to its end.

use bitgauge_core::plan::Plan;
use bitgauge_core::{Error, Matrix, Result};
use bitgauge_eval::Backend;
use bitgauge_eval::{
    AdapterClass, EvaluateOptions, Finished, GpuBackend, GpuOptions, Model, Moment, Queue, Sample, Tally,
    check_ids, checks, work,
};
use inspector_web::protocol::measuring::{self, Measure, Measuring};
use web_sys::File;

use crate::adapter;
use crate::events::send;
use crate::load::{Loaded, load};
use crate::source::Source;
use crate::unpack::unpack;

/// Most tokens in flight: each batch brings finished documents, which survive what happens later.
const TOKENS_IN_FLIGHT: usize = 2_048;
/// Fewest milliseconds between two reports of progress.
const PROGRESS_SECONDS: f64 = 0.25;

/// Loads the model and measures the documents that are not finished.
///
/// # Errors
/// What can't be loaded or run, a kernel that computes wrongly here, a lost device.
pub async fn measure(request: &Measure, files: Vec<File>, documents: &[Vec<u32>]) -> Result<()> {
    let plan = Plan::from_json(&request.plan)?;
    check_ids(documents, plan.decoder.vocabulary as usize)?;
    let mut backend = GpuBackend::request(&adapter::name().await, GpuOptions::default()).await?;
    let info = backend.adapter();
    send(&Measuring::Adapter {
        name: info.name.clone(),
        class: if info.class == AdapterClass::Cpu { "software on the CPU" } else { "GPU" }.to_owned(),
        buffer_bytes: info.max_buffer_bytes,
        model_bytes: plan.stored_bytes(),
    });
    let device = format!("in the browser, {}", info.name);
    let files = unpack(&plan, &Source::all(files, request.away.clone()).await?).await?;
    let Loaded { model, samples } = load(&plan, &files, &mut backend).await?;
    check(&mut backend, &model, samples).await?;

    let mut tally = Tally::of(documents);
    let earlier = request.finished.iter().filter(|finished| finished.document < documents.len() as u64);
    tally.extend(earlier.map(|finished| Finished {
        document: finished.document,
        tokens: finished.tokens,
        nats: finished.nats,
        seconds: finished.seconds,
        device: finished.device.clone(),
    }));
    let queue = Queue::new(documents, tally.missing().collect::<Vec<_>>(), 1);
    let in_flight = backend
        .preferred_tokens(model.shape.hidden_size, model.shape.intermediate_size)
        .min(TOKENS_IN_FLIGHT);
    let finished = &mut |batch: Vec<Finished>| {
        for mut finished in batch {
            finished.device.clone_from(&device);
            send(&Measuring::Document(told(&finished)));
            tally.extend([finished]);
        }
        Ok::<_, Error>(())
    };
    let mut last: Option<Moment> = None;
    let progress = &mut |done, total| {
        if last.is_none_or(|last| last.seconds() >= PROGRESS_SECONDS) || done == total {
            send(&Measuring::Running { done, total });
            last = Some(Moment::now());
        }
    };
    work(&mut backend, &model, &queue, Some(in_flight), finished, progress).await?;

    // Those of the documents, since some may have been finished by another worker.
    let seconds = tally.finished().map(|finished| finished.seconds).sum();
    let options = EvaluateOptions {
        max_tokens: request.max_tokens as usize,
        documents_sha256: request.documents_sha256.clone(),
        ..EvaluateOptions::default()
    };
    let mut evaluation = tally.evaluation(&options, backend.precision(), seconds)?;
    evaluation.cut_tokens = request.cut_tokens;
    send(&Measuring::Measured { evaluation });
    Ok(())
}

/// Compares the kernels that the model runs with their twins on this device.
async fn check(
    backend: &mut GpuBackend,
    model: &Model<GpuBackend>,
    samples: Vec<(Sample, Matrix)>,
) -> Result<()> {
    let checks = checks(backend, model, samples)?;
    let total = checks.len() as u64;
    for (done, check) in (0..).zip(&checks) {
        send(&Measuring::Checking { kernel: check.kernel(), done, total });
        check.run(backend).await?;
    }
    Ok(())
}

/// A finished document as the page is told of it.
fn told(finished: &Finished) -> measuring::Finished {
    measuring::Finished {
        document: finished.document,
        tokens: finished.tokens,
        nats: finished.nats,
        seconds: finished.seconds,
        device: finished.device.clone(),
    }
}
