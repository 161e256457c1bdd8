//! From an artifact to a model on a device, or on several: its weights are read once, on several threads.

mod feed;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::Scope;
use std::time::Instant;

use bitgauge_core::container::Artifact;
use bitgauge_core::inventory::{Inventory, Weight};
use bitgauge_core::scan::{Digest, Sha256};
use bitgauge_core::{Error, format};
use bitgauge_eval::weights::{LoadError, ModelBuilder, prepare};
use bitgauge_eval::{Backend, BackendError, Model, WeightForms};

use crate::source::Source;
use feed::{Fed, Feed};

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

/// Reads and decodes the weights that the forward pass needs, once for all devices that take them. That is done on
/// several threads, ahead of the devices; few weights are in memory at once.
pub struct Loader<'a> {
    inventory: &'a Inventory<'a>,
    source: &'a Source,
    feed: Feed<'a>,
}

/// The weights as they come to one device.
pub struct Loading<'f> {
    inventory: &'f Inventory<'f>,
    feed: &'f Feed<'f>,
    weights: Receiver<Arc<Fed<'f>>>,
    has_left: bool,
}

impl<'a> Loader<'a> {
    /// For devices that [take these forms](Backend::weight_forms).
    pub fn new(inventory: &'a Inventory<'a>, source: &'a Source, forms: WeightForms) -> Self {
        Self { inventory, source, feed: Feed::new(inventory, source, forms) }
    }

    /// Begins to read for so many devices. Reading waits for the slowest that has not been dropped.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub fn start<'f>(
        &'f self,
        scope: &'f Scope<'f, '_>,
        devices: usize,
    ) -> Result<Vec<Loading<'f>>, BackendError> {
        let receivers = self.feed.start(scope, self.source, devices)?;
        let loading =
            |weights| Loading { inventory: self.inventory, feed: &self.feed, weights, has_left: false };
        Ok(receivers.into_iter().map(loading).collect())
    }
}

impl Loading<'_> {
    /// Takes every weight to the device and waits until it is ready to run. `progress` is told the stored bytes of each
    /// weight done.
    ///
    /// # Errors
    /// Those of [`load`].
    pub fn finish<B: Backend>(
        mut self,
        backend: &mut B,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Model<B>, LoadError> {
        let (model, _) = self.build(backend, progress)?;
        backend.ready()?;
        Ok(model)
    }

    /// [`Loading::finish`] without waiting for the device.
    fn build<B: Backend>(
        &mut self,
        backend: &mut B,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(Model<B>, LoadTimes), LoadError> {
        prepare(backend, self.inventory)?;
        let mut builder = ModelBuilder::<B>::of(self.inventory)?;
        let mut times = LoadTimes::default();
        // The first in storage order of several failures, whichever came up first.
        let mut failure: Option<(usize, LoadError)> = None;
        let mut since = Instant::now();
        while let Ok(fed) = self.weights.recv() {
            times.idle += lap(&mut since);
            let (index, stored_bytes) = (fed.index, fed.stored_bytes);
            let result = put(&mut builder, backend, fed, failure.is_none());
            times.uploading += lap(&mut since);
            match result {
                Ok(()) => progress(stored_bytes),
                Err(error) => {
                    self.leave();
                    if failure.as_ref().is_none_or(|(first, _)| index < *first) {
                        failure = Some((index, error));
                    }
                }
            }
        }
        [times.reading, times.decoding] = self.feed.times();
        match failure {
            None => Ok((builder.finish(backend)?, times)),
            Some((_, error)) => Err(error),
        }
    }

    /// Wants no further weight.
    fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            self.feed.leave();
        }
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Takes one weight to the device, if it is `wanted`; the last device that has it need not copy it.
fn put<B: Backend>(
    builder: &mut ModelBuilder<'_, B>,
    backend: &mut B,
    fed: Arc<Fed<'_>>,
    wanted: bool,
) -> Result<(), LoadError> {
    match Arc::try_unwrap(fed) {
        Ok(last) => match last.matrix? {
            matrix if wanted => builder.put(backend, last.expected, matrix),
            _ => Ok(()),
        },
        Err(shared) => match &shared.matrix {
            Ok(matrix) if wanted => builder.put_shared(backend, shared.expected, matrix),
            Ok(_) => Ok(()),
            Err(error) => Err(error.clone().into()),
        },
    }
}

/// Loads every weight that the forward pass needs to one device and waits until it is ready to run. `progress` is told
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
    let loader = Loader::new(inventory, source, backend.weight_forms());
    std::thread::scope(|scope| {
        // As many come as were asked for.
        loader.start(scope, 1)?.swap_remove(0).build(backend, progress)
    })
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
