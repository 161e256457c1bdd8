//! The finished documents of an evaluation, in memory and in the file of `--resume`.

use std::path::{Path, PathBuf};

use bitgauge_core::Error;
use bitgauge_eval::{Finished, Tally};
use native_eval::{LossFile, Resumed, Run};

use crate::cli::print::{eprintln, note};
use crate::cli::{Failure, interrupt, text};

/// The finished documents, in memory and on disk.
pub struct Ledger {
    /// Those in memory.
    pub tally: Tally,
    file: Option<LossFile>,
    /// How many finished documents the file lacks.
    behind: usize,
    /// What is in the file.
    kept: Option<Kept>,
}

/// Documents with something to score, of those that this run evaluates.
struct Kept {
    path: PathBuf,
    finished: usize,
    waiting: usize,
}

impl Ledger {
    /// Without a file.
    pub fn in_memory(ids: &[Vec<u32>]) -> Self {
        Self { tally: Tally::of(ids), file: None, behind: 0, kept: None }
    }

    /// With this file, and what it holds already.
    ///
    /// # Errors
    /// Those of [`LossFile::open`].
    pub fn open(path: &Path, run: &Run, ids: &[Vec<u32>]) -> Result<Self, Failure> {
        let Resumed { file, tally, warnings } = LossFile::open(path, run, ids)?;
        for warning in warnings {
            note!("{}: {warning}", path.display());
        }
        let finished = tally.finished().filter(|finished| finished.tokens > 0).count();
        if finished > 0 {
            let are = if finished == 1 { "document is" } else { "documents are" };
            note!("{}: {finished} {are} finished", path.display());
        }
        let kept = Some(Kept { path: path.to_owned(), finished, waiting: 0 });
        Ok(Self { tally, file: Some(file), behind: 0, kept })
    }

    /// Adds finished documents. A file that can't be written, as on a full disk, ends nothing: it is tried again with
    /// the next documents.
    pub fn add(&mut self, finished: Vec<Finished>) -> Result<(), Failure> {
        // An interrupt waits for whole lines, and counts them.
        let mut uninterrupted = interrupt::kept();
        if let Some(file) = &mut self.file {
            let added = file.append(&finished);
            if let (Err(error), 0) = (&added, self.behind) {
                eprintln!("{}: the evaluation goes on without it: {error}", text::unsure("warning"));
            }
            let unkept = self.behind + finished.len();
            self.behind = if added.is_ok() { 0 } else { unkept };
            *uninterrupted = self.kept_words(unkept - self.behind, 0);
        }
        self.tally.extend(finished);
        Ok(())
    }

    /// The documents, and whether all of them are on disk.
    pub fn finish(mut self) -> (Tally, Result<(), Error>) {
        let kept = self.file.as_mut().map_or(Ok(()), LossFile::finish);
        (self.tally, kept)
    }

    /// What an interrupt is to say, with so many documents more in the file, and so many more that wait.
    pub fn kept_words(&mut self, finished: usize, waiting: usize) -> Option<String> {
        let kept = self.kept.as_mut()?;
        kept.waiting = kept.waiting + waiting - finished;
        kept.finished += finished;
        let (finished, all) = (kept.finished, kept.finished + kept.waiting);
        let path = kept.path.display();
        Some(format!("{finished} of {all} documents are kept in {path}; the same command goes on from there"))
    }
}
