//! From the files to a model on the device, weight by weight.

use bitgauge_core::format::Form;
use bitgauge_core::inventory::Weight;
use bitgauge_core::plan::{Plan, turned_heads};
use bitgauge_core::{Error, ErrorKind, Result};
use bitgauge_eval::weights::{LoadError, ModelBuilder, decode_stored, forms_of};
use bitgauge_eval::{Backend, GpuBackend, Model};
use inspector_web::files;
use inspector_web::protocol::measuring::Measuring;
use web_sys::File;

use crate::serve::send;

/// Bytes of weights that are on their way to the device before it is waited for.
const BYTES_ON_THE_WAY: u64 = 16 << 20;

/// Brings a model's weights to the device.
///
/// # Errors
/// Files that can't be read or have changed, weights that are not what their format allows, a device without enough memory.
pub async fn load(plan: &Plan, files: &[File], backend: &mut GpuBackend) -> Result<Model<GpuBackend>> {
    let total = plan.stored_bytes();
    let (mut done, mut on_the_way) = (0, 0);
    let mut builder = ModelBuilder::<GpuBackend>::new(&plan.decoder, plan.convention);
    send(&Measuring::Loading { done, total });
    for weight in &plan.weights {
        let Some(expected) = &weight.expected else { continue };
        let stored = read(plan, weight, files).await?;
        let name = match weight.form {
            Form::Plain { index } => &plan.tensors[index].name,
            Form::Bitpacked { .. } | Form::Coded { .. } => &weight.name,
        };
        let turned = turned_heads(&plan.decoder, plan.convention, expected.role);
        let forms = forms_of(expected, backend.weight_forms());
        let matrix = decode_stored(weight, name, &stored, turned, forms)?;
        let bytes: u64 = stored.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        drop(stored);
        builder.put(backend, expected, matrix).map_err(reason)?;
        done += bytes;
        on_the_way += bytes;
        if on_the_way >= BYTES_ON_THE_WAY {
            backend.breathe().await?;
            on_the_way = 0;
        }
        send(&Measuring::Loading { done, total });
    }
    backend.ready()?;
    builder.finish(backend).map_err(reason)
}

/// The stored bytes of a weight's tensors, each with its number.
async fn read(plan: &Plan, weight: &Weight, files: &[File]) -> Result<Vec<(usize, Vec<u8>)>> {
    let mut stored = Vec::new();
    for index in weight.form.tensors() {
        let tensor = &plan.tensors[index];
        let file = files.get(tensor.file).ok_or_else(|| missing(tensor.file, files.len()))?;
        let bytes = files::range(file, tensor.offset, tensor.bytes).await;
        stored.push((index, bytes.map_err(|error| error.within(&tensor.name))?));
    }
    Ok(stored)
}

fn missing(file: usize, files: usize) -> Error {
    Error::new(ErrorKind::Missing, "a file of the model was not handed over")
        .expected_found(format!("{} files or more", file + 1), files)
        .hint("open the model again")
}

fn reason(error: LoadError) -> Error {
    match error {
        LoadError::Artifact(error) | LoadError::NotFinite(error) => error,
        LoadError::Backend(error) => error.into(),
    }
}
