//! Extending a file of finished documents.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bitgauge_core::{Error, ErrorKind, Result};
use bitgauge_eval::{Finished, Tally};

use super::Run;
use super::contents::{Contents, Losses, io_error, read};

/// A file that finished documents are added to. No other process can open it meanwhile.
#[derive(Debug)]
pub struct LossFile {
    file: File,
    path: PathBuf,
    /// Bytes of the whole lines that are in it.
    whole_bytes: u64,
    /// Lines that could not be written yet.
    pending: String,
}

/// A run that goes on, or begins.
#[derive(Debug)]
pub struct Resumed {
    /// Where further documents are added.
    pub file: LossFile,
    /// Those that are finished.
    pub tally: Tally,
    /// What was lost of the file, for people.
    pub warnings: Vec<String>,
}

impl LossFile {
    /// Opens a file to go on with a run over documents of these ids, or begins one. A file whose first line is torn is
    /// kept under another name, and the run begins anew; other torn lines are left out.
    ///
    /// # Errors
    /// A file that can't be read or written, that another process has open, or that is of another run.
    pub fn open(path: &Path, run: &Run, ids: &[Vec<u32>]) -> Result<Resumed> {
        let mut losses = Self::locked(path)?;
        let mut warnings = Vec::new();
        if losses.file.metadata().map_err(|error| io_error(path, &error))?.len() > 0 {
            match read(&mut losses.file, path)? {
                Contents::Losses(found) => return losses.go_on(*found, run, ids),
                Contents::Torn => {
                    let kept = set_aside(path).map_err(|error| io_error(path, &error))?;
                    warnings.push(format!(
                        "the first line is torn, so the run begins anew; the old file is {}",
                        kept.display()
                    ));
                    losses = Self::locked(path)?;
                }
            }
        }
        let tally = Tally::of(ids);
        losses.begin(run, &tally)?;
        Ok(Resumed { file: losses, tally, warnings })
    }

    /// Opens a file, or makes one, and keeps other processes out.
    fn locked(path: &Path) -> Result<Self> {
        let open = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = open.map_err(|error| io_error(path, &error))?;
        // A file system without locks is no reason not to run.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::new(ErrorKind::Io, "another process is adding to the file")
                .within(path.display())
                .hint("give each process a file of its own"));
        }
        Ok(Self { file, path: path.to_owned(), whole_bytes: 0, pending: String::new() })
    }

    fn go_on(mut self, found: Losses, run: &Run, ids: &[Vec<u32>]) -> Result<Resumed> {
        let fits = run.expect_same(&found.run).and_then(|()| {
            if run.shard == found.run.shard {
                return Ok(());
            }
            Err(Error::new(ErrorKind::BadValue, "the losses belong to another shard")
                .expected_found(run.shard, found.run.shard)
                .hint("give each shard a file of its own"))
        });
        fits.and_then(|()| expect_lengths(&found.finished, ids))
            .map_err(|error| error.within(self.path.display()))?;
        self.whole_bytes = found.whole_bytes;
        if found.is_torn {
            self.file.set_len(self.whole_bytes).map_err(|error| io_error(&self.path, &error))?;
        }
        let warnings = found.warnings();
        let mut tally = Tally::of(ids);
        tally.extend(found.finished);
        Ok(Resumed { file: self, tally, warnings })
    }

    /// Writes the run, and the documents of its shard in which there is nothing to score.
    fn begin(&mut self, run: &Run, unscored: &Tally) -> Result<()> {
        let unscored: Vec<_> = unscored.finished().filter(|f| run.shard.has(f.document)).cloned().collect();
        self.pending = line(run)? + &lines(&unscored)?;
        self.write_pending()
    }

    /// Adds finished documents. What can't be written is kept and tried again with the next ones.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn append(&mut self, finished: &[Finished]) -> Result<()> {
        self.pending += &lines(finished)?;
        self.write_pending()
    }

    /// Writes what could not be written before, if there is anything.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn finish(&mut self) -> Result<()> {
        if self.pending.is_empty() { Ok(()) } else { self.write_pending() }
    }

    fn write_pending(&mut self) -> Result<()> {
        let written = self.file.write_all(self.pending.as_bytes()).and_then(|()| sync(&self.file));
        if let Err(error) = written {
            // A part of a line may have been written. Where it can't be taken away it is a torn line.
            let _ = self.file.set_len(self.whole_bytes);
            return Err(
                io_error(&self.path, &error).hint("the file is kept: the same command goes on from there")
            );
        }
        self.whole_bytes += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

/// Waits until the file is on disk, where the file system can.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_data() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        synced => synced,
    }
}

/// Renames a damaged file to a name that is free. Links to it stay, and lead to the next file at its place.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let path = path.canonicalize()?;
    let mut kept = path.clone().into_os_string();
    kept.push(".damaged");
    let mut names = std::iter::once(PathBuf::from(&kept)).chain((2..).map(|number: u32| {
        let mut kept = kept.clone();
        kept.push(format!("-{number}"));
        PathBuf::from(kept)
    }));
    let free = names.find(|name| fs::symlink_metadata(name).is_err());
    let free = free.ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(&path, &free)?;
    Ok(free)
}

/// Fails where a document was finished with another number of tokens.
fn expect_lengths(finished: &[Finished], ids: &[Vec<u32>]) -> Result<()> {
    let scored = |entry: &Finished| (ids[entry.document as usize].len() as u64).saturating_sub(1);
    match finished.iter().find(|entry| entry.tokens != scored(entry)) {
        None => Ok(()),
        Some(entry) => {
            Err(Error::new(ErrorKind::BadValue, format!("document {} has another length", entry.document))
                .expected_found(format!("{} scored tokens", scored(entry)), entry.tokens))
        }
    }
}

fn line(value: &impl serde::Serialize) -> Result<String> {
    let mut text = serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::BadValue, "a result can't be written").expected_found("JSON", error)
    })?;
    text.push('\n');
    Ok(text)
}

fn lines(finished: &[Finished]) -> Result<String> {
    finished.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_comes_back_to_the_bit() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let nats = f64::from(random.u32(..)) * f64::from(random.u32(..)) / 1e15;
            let finished = Finished { document: 0, tokens: 1, nats, seconds: 0.1, device: "d".into() };
            let text = line(&finished).unwrap();
            let back: Finished = serde_json::from_str(&text).unwrap();
            assert_eq!(back.nats.to_bits(), nats.to_bits(), "{text}");
        }
    }
}
