//! Hashes on threads of their own, beside the pass that looks at the same bytes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use bitgauge_core::scan::{Left, RangeHashes};
use native_eval::spawn_scoped;

/// Pieces that a thread may be behind.
const PIECES: usize = 4;

/// The hashes that a scan leaves to others.
pub struct Hashing<'s> {
    members: Line<'s>,
    /// `None` for a folder, and where the only member is the file itself.
    file: Option<Line<'s>>,
    has_file: bool,
}

/// One after the other.
enum Line<'s> {
    Beside {
        pieces: SyncSender<Arc<Vec<u8>>>,
        thread: ScopedJoinHandle<'s, Vec<String>>,
    },
    /// Where the system has no room for a thread.
    Here(RangeHashes),
}

impl<'s> Hashing<'s> {
    /// Starts the threads.
    pub fn start(scope: &'s Scope<'s, '_>, left: Left<(u64, u64)>) -> Self {
        let file = left.file.filter(|file| left.members != [*file]);
        let file = file.map(|file| Line::start(scope, vec![file]));
        Self { has_file: left.file.is_some(), file, members: Line::start(scope, left.members) }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let piece = Arc::new(bytes.to_vec());
        for line in self.file.iter_mut().chain([&mut self.members]) {
            line.push(&piece);
        }
    }

    /// The hashes in hex.
    pub fn finish(self) -> Left<String> {
        let members = self.members.finish();
        let file = match self.file {
            Some(file) => file.finish().pop(),
            None => members.first().filter(|_| self.has_file).cloned(),
        };
        Left { members, file }
    }
}

impl<'s> Line<'s> {
    fn start(scope: &'s Scope<'s, '_>, ranges: Vec<(u64, u64)>) -> Self {
        let (pieces, receiver) = sync_channel(PIECES);
        let own = ranges.clone();
        match spawn_scoped(scope, move || hash(own, receiver)) {
            Ok(thread) => Self::Beside { pieces, thread },
            Err(_) => Self::Here(RangeHashes::new(ranges)),
        }
    }

    fn push(&mut self, piece: &Arc<Vec<u8>>) {
        match self {
            // The receiver is gone only after a panic, which shows when the thread is joined.
            Self::Beside { pieces, .. } => drop(pieces.send(Arc::clone(piece))),
            Self::Here(hashes) => hashes.push(piece),
        }
    }

    fn finish(self) -> Vec<String> {
        match self {
            Self::Beside { pieces, thread } => {
                drop(pieces);
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            Self::Here(hashes) => hashes.finish(),
        }
    }
}

fn hash(ranges: Vec<(u64, u64)>, pieces: Receiver<Arc<Vec<u8>>>) -> Vec<String> {
    let mut hashes = RangeHashes::new(ranges);
    pieces.into_iter().for_each(|piece| hashes.push(&piece));
    hashes.finish()
}
