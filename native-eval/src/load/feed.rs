//! Reads and decodes weights on several threads, ahead of the devices.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use bitgauge_core::container::Compression;
use bitgauge_core::inventory::{Inventory, Weight};
use bitgauge_core::model::ExpectedTensor;
use bitgauge_core::plan::wanted;
use bitgauge_core::{Error, Matrix};
use bitgauge_eval::weights::{decode_wanted, most_bytes, stored_bytes};
use bitgauge_eval::{BackendError, WeightForms};

use super::read;
use crate::source::Source;
use crate::threads::spawn_scoped;

/// Most threads.
const READERS: usize = 12;
/// Bytes of weights that are on the way at once, as stored or as decoded, unless a single one has more.
const BYTES_ON_THE_WAY: u64 = 512 << 20;
/// Weights of this many bytes come first: one that came last would keep all threads but one waiting.
const LARGE_BYTES: u64 = 64 << 20;
/// Largest buffer that a thread keeps from one weight to the next.
const KEPT_BYTES: usize = 32 << 20;

/// The weights that the forward pass needs, in storage order but for large ones.
pub(super) struct Feed<'a> {
    inventory: &'a Inventory<'a>,
    wanted: Vec<(&'a Weight, &'a ExpectedTensor)>,
    /// Where one reader must read everything: a deflated member is cheap to read only from front to back, and
    /// a compressed tar is unpacked by whoever reads it.
    in_order: Option<Mutex<Source>>,
    /// What every device takes.
    forms: WeightForms,
    state: Mutex<State>,
    room: Condvar,
    reading: AtomicU64,
    decoding: AtomicU64,
}

#[derive(Default)]
struct State {
    next: usize,
    bytes_on_the_way: u64,
    /// Devices that still take weights.
    devices: usize,
}

/// A weight, and its number in the order of loading. All devices get the same one.
pub(super) struct Fed<'f> {
    pub index: usize,
    pub expected: &'f ExpectedTensor,
    pub stored_bytes: u64,
    pub matrix: Result<Matrix, Error>,
    _share: Share<'f>,
}

/// A weight's share of [`BYTES_ON_THE_WAY`], given back when the last device has dropped it.
struct Share<'f> {
    feed: &'f Feed<'f>,
    bytes: u64,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.feed.state().bytes_on_the_way -= self.bytes;
        self.feed.room.notify_all();
    }
}

impl<'a> Feed<'a> {
    pub fn new(inventory: &'a Inventory<'a>, source: &Source, forms: WeightForms) -> Self {
        let artifact = inventory.artifact;
        let mut members = artifact.tensors.iter().map(|tensor| &artifact.members[tensor.member]);
        let is_deflated = members.any(|member| member.compression != Compression::Stored);
        let is_in_order = is_deflated || artifact.compressed.is_some();
        let mut wanted = wanted(inventory);
        if !is_in_order {
            wanted.sort_by_key(|(weight, _)| stored_bytes(inventory, weight) < LARGE_BYTES);
        }
        Self {
            inventory,
            wanted,
            in_order: is_in_order.then(|| Mutex::new(source.again())),
            forms,
            state: Mutex::default(),
            room: Condvar::new(),
            reading: AtomicU64::new(0),
            decoding: AtomicU64::new(0),
        }
    }

    /// Starts the threads, as many as the system has room for. Weights come as they are ready, each of them to every
    /// device.
    ///
    /// # Errors
    /// There is no room for one.
    pub fn start<'f>(
        &'f self,
        scope: &'f Scope<'f, '_>,
        source: &Source,
        devices: usize,
    ) -> Result<Vec<Receiver<Arc<Fed<'f>>>>, BackendError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(READERS);
        self.state().devices = devices;
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..devices).map(|_| channel()).unzip();
        for number in 0..threads {
            let (mut own, senders) = (source.again(), senders.clone());
            match spawn_scoped(scope, move || self.feed(&mut own, &senders)) {
                Err(error) if number == 0 => return Err(error),
                // Those that there are do it all.
                Err(_) => break,
                Ok(_) => {}
            }
        }
        Ok(receivers)
    }

    /// A device wants no further weight. After the last, none is read.
    pub fn leave(&self) {
        let mut state = self.state();
        state.devices = state.devices.saturating_sub(1);
        drop(state);
        self.room.notify_all();
    }

    /// Seconds that all threads together spent on reading, and on decoding.
    pub fn times(&self) -> [f64; 2] {
        [&self.reading, &self.decoding]
            .map(|time| Duration::from_nanos(time.load(Ordering::Relaxed)).as_secs_f64())
    }

    fn feed<'f>(&'f self, own: &mut Source, senders: &[Sender<Arc<Fed<'f>>>]) {
        let mut stored = Vec::new();
        loop {
            let mut shared = self.in_order.as_ref().map(lock);
            let source = shared.as_deref_mut().unwrap_or(own);
            let Some((index, share)) = self.take() else { return };
            let (weight, expected) = self.wanted[index];
            let start = Instant::now();
            let result = read(source, self.inventory, weight, &mut stored);
            drop(shared);
            add(&self.reading, start);
            let start = Instant::now();
            let matrix = result.and_then(|parts| {
                decode_wanted(self.inventory, (weight, expected), &stored[..parts], self.forms)
            });
            for (_, bytes) in stored.iter_mut().filter(|(_, bytes)| bytes.capacity() > KEPT_BYTES) {
                *bytes = Vec::new();
            }
            add(&self.decoding, start);
            let stored_bytes = stored_bytes(self.inventory, weight);
            let fed = Arc::new(Fed { index, expected, stored_bytes, matrix, _share: share });
            // A receiver is gone only after a panic, or when there was no room for its thread.
            let sent = senders.iter().filter(|sender| sender.send(Arc::clone(&fed)).is_ok()).count();
            if sent == 0 {
                return;
            }
        }
    }

    /// The next weight, as soon as there is room for it.
    fn take(&self) -> Option<(usize, Share<'_>)> {
        let mut state = self.state();
        loop {
            let index = state.next;
            let &wanted = self.wanted.get(index).filter(|_| state.devices > 0)?;
            let bytes = most_bytes(self.inventory, wanted, self.forms);
            if state.bytes_on_the_way == 0 || state.bytes_on_the_way + bytes <= BYTES_ON_THE_WAY {
                state.next += 1;
                state.bytes_on_the_way += bytes;
                return Some((index, Share { feed: self, bytes }));
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(time: &AtomicU64, start: Instant) {
    time.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
}
