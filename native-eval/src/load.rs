//! From an artifact to a model on a device: its weights are read on several threads.

mod feed;

use std::time::Instant;

use bitgauge_core::container::Artifact;
use bitgauge_core::inventory::{Inventory, Weight};
use bitgauge_core::scan::{Digest, Sha256};
use bitgauge_core::{Error, format};
use bitgauge_eval::weights::{LoadError, ModelBuilder, prepare};
use bitgauge_eval::{Backend, BackendError, Model};

use crate::source::Source;
use feed::Feed;

/// Values that are compared at a time.
const VALUES_AT_ONCE: usize = 4096;

/// Where the time of loading goes, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadTimes {
    /// Reading, all threads together.
    pub reading: f64,
    /// Decoding, all threads together.
    pub decoding: f64,
    /// What the device's thread waited for weights.
    pub idle: f64,
    /// What it took to hand weights to the device.
    pub uploading: f64,
}

/// Loads every weight that the forward pass needs and waits until the device is ready to run. Weights are read
/// and decoded on several threads, ahead of the device; few are in memory at once. `progress` is told
/// the stored bytes of each weight done.
///
/// # Errors
/// An artifact without a known architecture, with missing or misshapen weights or invalid payload;
/// a device that runs out of memory.
pub fn load<B: Backend>(
    backend: &mut B,
    source: &mut Source,
    inventory: &Inventory,
    progress: &mut dyn FnMut(u64),
) -> Result<Model<B>, LoadError> {
    let (model, _) = load_timed(backend, source, inventory, progress)?;
    backend.ready()?;
    Ok(model)
}

/// [`load`] without waiting for the device.
pub(crate) fn load_timed<B: Backend>(
    backend: &mut B,
    source: &Source,
    inventory: &Inventory,
    progress: &mut dyn FnMut(u64),
) -> Result<(Model<B>, LoadTimes), LoadError> {
    prepare(backend, inventory)?;
    let mut builder = ModelBuilder::<B>::of(inventory)?;
    let feed = Feed::new(inventory, source, backend.rounds_weights());
    let mut times = LoadTimes::default();
    // The first in storage order of several failures, whichever came up first.
    let mut failure: Option<(usize, LoadError)> = None;
    std::thread::scope(|scope| {
        let weights = feed.start(scope, source)?;
        let mut since = Instant::now();
        for fed in weights {
            times.idle += lap(&mut since);
            let result = match fed.matrix {
                Ok(matrix) if failure.is_none() => builder.put(backend, fed.expected, matrix),
                other => other.map(drop).map_err(LoadError::from),
            };
            times.uploading += lap(&mut since);
            match result {
                Ok(()) => progress(fed.stored_bytes),
                Err(error) => {
                    feed.stop();
                    if failure.as_ref().is_none_or(|(index, _)| fed.index < *index) {
                        failure = Some((fed.index, error));
                    }
                }
            }
        }
        Ok::<_, BackendError>(())
    })?;
    [times.reading, times.decoding] = feed.times();
    match failure {
        None => Ok((builder.finish(backend)?, times)),
        Some((_, error)) => Err(error),
    }
}

/// Seconds since `since`, which becomes now.
fn lap(since: &mut Instant) -> f64 {
    let now = Instant::now();
    (now - std::mem::replace(since, now)).as_secs_f64()
}

/// Whether a dense model that says its head is its embedding holds two matrices whose values differ: transformers 5
/// then keeps both. One of them is in memory at a time.
///
/// # Errors
/// Weights that can't be read.
pub fn heads_differ(source: &mut Source, inventory: &Inventory) -> Result<bool, Error> {
    let mut bytes = Vec::new();
    let mut hash = |index: usize| {
        let tensor = &inventory.artifact.tensors[index];
        source.read_tensor_into(tensor, &mut bytes)?;
        let values = format::decode_values(&tensor.name, tensor.dtype, &bytes)?;
        let (mut hash, mut piece) = (Sha256::new(), [0.0; VALUES_AT_ONCE]);
        for start in (0..values.len()).step_by(VALUES_AT_ONCE) {
            let piece = &mut piece[..VALUES_AT_ONCE.min(values.len() - start)];
            values.read(start, piece);
            // -0 is 0.
            piece.iter().for_each(|value| hash.update((value + 0.0).to_le_bytes()));
        }
        Ok::<_, Error>(hash.finalize())
    };
    match inventory.tied_pair {
        Some([embedding, head]) => Ok(hash(embedding)? != hash(head)?),
        None => Ok(false),
    }
}

/// What an artifact holds to the source's version of transformers, with a head of its own where [`heads_differ`].
///
/// # Errors
/// Those of [`Inventory::of_version`] and [`heads_differ`].
pub fn loaded_inventory<'a>(source: &mut Source, artifact: &'a Artifact) -> Result<Inventory<'a>, Error> {
    let inventory = Inventory::of_version(artifact, source.transformers())?;
    Ok(if heads_differ(source, &inventory)? { inventory.untied() } else { inventory })
}

/// Reads the stored bytes of one weight, of all tensors that hold it, into the first of `stored`, whose buffers are used
/// again. Gives how many.
fn read(
    source: &mut Source,
    inventory: &Inventory,
    weight: &Weight,
    stored: &mut Vec<(usize, Vec<u8>)>,
) -> Result<usize, Error> {
    let wanted = weight.form.tensors();
    stored.resize_with(stored.len().max(wanted.len()), Default::default);
    for (&index, (of, bytes)) in wanted.iter().zip(stored) {
        *of = index;
        source.read_tensor_into(&inventory.artifact.tensors[index], bytes)?;
    }
    Ok(wanted.len())
}
