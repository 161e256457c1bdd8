//! Documents that wait to be evaluated, handed out in order to one device, the longest first to several.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Batches of a fewer part of the tokens in flight leave a device idle.
const LEAST_OF_A_BATCH: usize = 4;

/// Documents of token ids, and which of them wait. Those of fewer than two tokens have nothing to score
/// and are never handed out.
pub struct Queue<'a> {
    documents: &'a [Vec<u32>],
    /// How many of a document's predictions are not scored; of those past its end, none.
    context: &'a [usize],
    devices: usize,
    tokens: u64,
    /// Token-layers.
    done: AtomicU64,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    documents: VecDeque<usize>,
    tokens: usize,
    round: Round,
}

/// What is left of a round, in which each device gets as many tokens.
#[derive(Clone, Copy, Default)]
struct Round {
    batches: usize,
    /// Tokens of each batch.
    share: usize,
}

impl Round {
    /// The next of the fewest rounds that these devices can make of so many tokens. Several devices get two smaller
    /// batches each in the last one, so that none waits long for another's end, unless those were too small to fill a
    /// device.
    fn next(tokens: usize, in_flight: usize, devices: usize) -> Self {
        let rounds = tokens.div_ceil(in_flight.saturating_mul(devices)).max(1);
        let whole = Self { batches: devices, share: tokens.div_ceil(rounds * devices) };
        let halves = Self { batches: 2 * devices, share: whole.share.div_ceil(2) };
        let are_filling = halves.share >= in_flight / LEAST_OF_A_BATCH;
        if devices > 1 && rounds == 1 && are_filling { halves } else { whole }
    }
}

/// Empties the queue unless its device came to the end of it: after a failure of one device the others
/// stop.
pub(super) struct StopOnDrop<'q>(&'q Queue<'q>);

impl<'a> Queue<'a> {
    /// A queue of the documents of these numbers, for so many devices. Several get the longest first: a long one that came
    /// last would keep all devices but one waiting.
    pub fn new(documents: &'a [Vec<u32>], wanted: impl IntoIterator<Item = usize>, devices: usize) -> Self {
        let mut wanted: Vec<_> = wanted.into_iter().filter(|&i| documents[i].len() >= 2).collect();
        if devices > 1 {
            wanted.sort_by_key(|&i| Reverse(documents[i].len()));
        }
        let tokens = wanted.iter().map(|&i| documents[i].len()).sum();
        let waiting = Mutex::new(Waiting { documents: wanted.into(), tokens, round: Round::default() });
        Self { documents, context: &[], devices, tokens: tokens as u64, done: AtomicU64::new(0), waiting }
    }

    /// The same, where the first predictions of each document only give context: so many are not scored.
    pub fn with_context(self, context: &'a [usize]) -> Self {
        Self { context, ..self }
    }

    /// How many of a document's first predictions are not scored.
    pub(super) fn context(&self, index: usize) -> usize {
        self.context.get(index).copied().unwrap_or(0)
    }

    /// Takes the next documents, at least one, of at most `in_flight` tokens: an equal share for each of the fewest
    /// batches that the devices can make of what waits. One device takes the document that completes its share, several
    /// take it where that comes nearer to the share. `None` at the end.
    pub fn take(&self, in_flight: usize) -> Option<Vec<usize>> {
        let (in_flight, devices) = (in_flight.max(1), self.devices.max(1));
        let waiting = &mut *self.waiting();
        if waiting.round.batches == 0 {
            waiting.round = Round::next(waiting.tokens, in_flight, devices);
        }
        waiting.round.batches -= 1;
        let share = waiting.round.share;
        let (mut taken, mut tokens) = (Vec::new(), 0);
        while let Some(&next) = waiting.documents.front() {
            let length = self.documents[next].len();
            let is_enough = if devices == 1 { tokens >= share } else { tokens + length / 2 > share };
            if !taken.is_empty() && (is_enough || tokens + length > in_flight) {
                break;
            }
            tokens += length;
            waiting.tokens -= length;
            taken.extend(waiting.documents.pop_front());
        }
        (!taken.is_empty()).then_some(taken)
    }

    /// Every document, whether it waits or not.
    pub fn documents(&self) -> &'a [Vec<u32>] {
        self.documents
    }

    /// The ids of one document.
    pub fn document(&self, index: usize) -> &'a [u32] {
        &self.documents[index]
    }

    /// Documents that wait.
    pub fn len(&self) -> usize {
        self.waiting().documents.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of all documents that were ever in the queue.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Empties the queue.
    pub fn stop(&self) {
        self.waiting().documents.clear();
    }

    /// Counts token-layers that are done, and gives their sum so far.
    pub(super) fn advance(&self, token_layers: u64) -> u64 {
        self.done.fetch_add(token_layers, Ordering::Relaxed) + token_layers
    }

    pub(super) fn stop_on_drop(&self) -> StopOnDrop<'_> {
        StopOnDrop(self)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> Vec<Vec<u32>> {
        [3, 4, 9, 1, 2, 2].iter().map(|&n| vec![0; n]).collect()
    }

    fn groups(queue: &Queue<'_>, in_flight: usize) -> Vec<Vec<usize>> {
        std::iter::from_fn(|| queue.take(in_flight)).collect()
    }

    #[test]
    fn batches_fill_up_to_the_tokens_in_flight_and_keep_the_order() {
        let documents = documents();
        let queue = Queue::new(&documents, 0..6, 1);
        assert_eq!(queue.tokens(), 20);
        assert_eq!(groups(&queue, 8), [vec![0, 1], vec![2], vec![4, 5]]);
    }

    /// Fourteen and two would leave the device half idle in the second batch.
    #[test]
    fn batches_are_of_equal_size() {
        let documents = vec![vec![0; 512]; 16];
        let sizes = |in_flight, devices| -> Vec<usize> {
            let queue = Queue::new(&documents, 0..16, devices);
            groups(&queue, in_flight).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(7_552, 1), [8, 8]);
        assert_eq!(sizes(8_192, 1), [16]);
        assert_eq!(sizes(3_000, 1), [5, 5, 3, 3]);
        assert_eq!(sizes(3_000, 2), [4, 4, 2, 2, 2, 2]);
        assert_eq!(sizes(1, 1), [1; 16]);
    }

    /// What is too little to fill a device is one batch for each; else each gets about two.
    #[test]
    fn a_device_takes_no_more_than_its_share_of_what_waits() {
        let documents = documents();
        let queue = || Queue::new(&documents, [0, 1, 4, 5], 2);
        assert_eq!(groups(&queue(), 100), [vec![1, 0], vec![4, 5]]);
        assert_eq!(groups(&queue(), 12), [vec![1], vec![0], vec![4, 5]]);
    }

    /// Two devices of the same speed end together, and neither gets a batch too small to fill it.
    #[test]
    fn devices_end_together_without_small_batches() {
        for (length, count) in [(512, 256), (512, 250), (700, 300), (2_000, 90), (64, 2_000)] {
            let documents = vec![vec![0; length]; count];
            let queue = Queue::new(&documents, 0..count, 2);
            let mut busy = [0; 2];
            while let Some(batch) = queue.take(8_192) {
                let tokens = batch.len() * length;
                // A last one of what rounding leaves may be small.
                assert!(tokens >= 2_000 || queue.is_empty(), "{length}: {tokens} of {count} documents");
                let next = usize::from(busy[1] < busy[0]);
                busy[next] += tokens;
            }
            let apart = busy[0].abs_diff(busy[1]);
            assert!(apart * 100 <= length * count * 3, "{length}, {count} documents: {busy:?}");
        }
    }

    #[test]
    fn several_devices_get_the_longest_documents_first() {
        let documents = documents();
        assert_eq!(groups(&Queue::new(&documents, 0..6, 2), 1), [[2], [1], [0], [4], [5]]);
        assert_eq!(groups(&Queue::new(&documents, 0..6, 1), 1), [[0], [1], [2], [4], [5]]);
    }

    #[test]
    fn a_stopped_queue_is_empty() {
        let documents = documents();
        let queue = Queue::new(&documents, 0..6, 1);
        assert_eq!(queue.take(1), Some(vec![0]));
        drop(queue.stop_on_drop());
        assert_eq!(queue.take(1), None);
    }
}
