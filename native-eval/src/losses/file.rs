//! Reading, checking and extending a file of finished documents.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bitgauge_core::{Error, ErrorKind, Result};

use super::Run;
use crate::evaluate::{Finished, Tally};

/// Longest file that is read.
const FILE_BYTES: u64 = 1 << 30;

/// What a file holds.
pub(super) struct Contents {
    pub run: Run,
    pub finished: Vec<Finished>,
    /// Bytes of its whole lines.
    pub whole_bytes: u64,
    /// Whether a torn line follows them.
    pub is_torn: bool,
}

/// A file that finished documents are added to. No other process can open it meanwhile.
#[derive(Debug)]
pub struct LossFile {
    file: File,
    path: PathBuf,
}

impl LossFile {
    /// Opens a file to go on with a run over documents of these ids, or begins one. Gives the documents
    /// that are finished, and whether a torn line was dropped.
    ///
    /// # Errors
    /// A file that can't be read or written, that another process has open, or that is of another run.
    pub fn open(path: &Path, run: &Run, ids: &[Vec<u32>]) -> Result<(Self, Tally, bool)> {
        let fail = |error| io_error(path, &error);
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(fail)?;
        // A file system without locks is no reason not to run.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::new(ErrorKind::Io, "another process is adding to the file")
                .within(path.display())
                .hint("give each process a file of its own"));
        }
        let mut losses = Self { file, path: path.to_owned() };
        let mut tally = Tally::of(ids);
        if losses.file.metadata().map_err(fail)?.len() == 0 {
            losses.begin(run, &tally)?;
            return Ok((losses, tally, false));
        }
        let contents = read(&mut losses.file, path)?;
        let fits = run.expect_same(&contents.run).and_then(|()| {
            if run.shard == contents.run.shard {
                return Ok(());
            }
            Err(Error::new(ErrorKind::BadValue, "the losses are of another shard")
                .expected(run.shard, contents.run.shard)
                .hint("give each shard a file of its own"))
        });
        fits.and_then(|()| expect_lengths(&contents.finished, ids))
            .map_err(|error| error.within(path.display()))?;
        if contents.is_torn {
            losses.file.set_len(contents.whole_bytes).map_err(fail)?;
        }
        tally.extend(contents.finished);
        Ok((losses, tally, contents.is_torn))
    }

    /// Writes the run, and the documents of its shard in which there is nothing to score.
    fn begin(&mut self, run: &Run, unscored: &Tally) -> Result<()> {
        let unscored: Vec<_> = unscored.finished().filter(|f| run.shard.has(f.document)).cloned().collect();
        let text = line(run)? + &lines(&unscored)?;
        self.write(&text).inspect_err(|_| {
            // A file without its first line would be refused; an empty one is not.
            let _ = self.file.set_len(0);
        })
    }

    /// Adds finished documents.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn append(&mut self, finished: &[Finished]) -> Result<()> {
        let text = lines(finished)?;
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.file.write_all(text.as_bytes()).map_err(|error| io_error(&self.path, &error))
    }
}

/// Fails where a document was finished with another number of tokens.
fn expect_lengths(finished: &[Finished], ids: &[Vec<u32>]) -> Result<()> {
    let scored = |entry: &Finished| (ids[entry.document as usize].len() as u64).saturating_sub(1);
    match finished.iter().find(|entry| entry.tokens != scored(entry)) {
        None => Ok(()),
        Some(entry) => {
            Err(Error::new(ErrorKind::BadValue, format!("document {} has another length", entry.document))
                .expected(format!("{} scored tokens", scored(entry)), entry.tokens))
        }
    }
}

/// Reads and checks a whole file. `path` is for messages.
pub(super) fn read(file: &mut File, path: &Path) -> Result<Contents> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| io_error(path, &error))?;
    parse(&bytes).map_err(|error| error.within(path.display()))
}

fn parse(bytes: &[u8]) -> Result<Contents> {
    if bytes.len() as u64 > FILE_BYTES {
        return Err(Error::new(ErrorKind::TooLarge, "the file is too long")
            .expected(format!("at most {FILE_BYTES} bytes"), "more"));
    }
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let text = std::str::from_utf8(&bytes[..whole])
        .map_err(|error| malformed(&error).at(error.valid_up_to() as u64))?;
    let mut lines = (1..).zip(text.lines());
    let first = lines.next().map_or("", |(_, line)| line);
    let run: Run = serde_json::from_str(first).map_err(|error| malformed(&error).within("line 1"))?;
    if run.losses_version != super::VERSION {
        return Err(Error::new(ErrorKind::Unsupported, "the file is of another version")
            .expected(format!("losses_version {}", super::VERSION), run.losses_version));
    }
    run.check_size()?;
    let mut seen = vec![false; run.documents as usize];
    let mut finished = Vec::new();
    for (number, line) in lines {
        let place = |error: Error| error.within(format!("line {number}"));
        let entry: Finished = serde_json::from_str(line).map_err(|error| place(malformed(&error)))?;
        check(&run, &entry, &mut seen).map_err(place)?;
        finished.push(entry);
    }
    Ok(Contents { run, finished, whole_bytes: whole as u64, is_torn: whole < bytes.len() })
}

/// Checks one document, and marks it as seen.
fn check(run: &Run, entry: &Finished, seen: &mut [bool]) -> Result<()> {
    let bad = |what: &str, expected: String, found: String| {
        Err(Error::new(ErrorKind::BadValue, what).expected(expected, found))
    };
    let Finished { document, tokens, nats, .. } = *entry;
    match seen.get_mut(document as usize) {
        Some(seen) if run.shard.has(document) => {
            if std::mem::replace(seen, true) {
                return bad(
                    "a document is there twice",
                    "each once".into(),
                    format!("document {document} again"),
                );
            }
        }
        _ => {
            let expected = format!("documents of shard {} below {}", run.shard, run.documents);
            return bad("a document does not belong to the run", expected, format!("document {document}"));
        }
    }
    if tokens >= run.max_tokens.max(1) {
        return bad(
            "a document is too long",
            format!("fewer than {} tokens", run.max_tokens),
            tokens.to_string(),
        );
    }
    if !nats.is_finite() || tokens == 0 && nats != 0.0 {
        return bad("a loss is no loss", "a finite number".into(), format!("{nats} over {tokens} tokens"));
    }
    Ok(())
}

fn line(value: &impl serde::Serialize) -> Result<String> {
    let mut text = serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::BadValue, "a result can't be written").expected("JSON", error)
    })?;
    text.push('\n');
    Ok(text)
}

fn lines(finished: &[Finished]) -> Result<String> {
    finished.iter().map(line).collect()
}

fn malformed(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, "the file holds no losses of documents")
        .expected("what `bitgauge eval --resume` writes", error)
}

fn io_error(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the losses can't be read or written")
        .within(path.display())
        .expected("a file in an existing folder", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_comes_back_to_the_bit() {
        let mut state = 1u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let nats = f64::from((state >> 32) as u32) * f64::from(state as u32) / 1e15;
            let finished = Finished { document: 0, tokens: 1, nats, seconds: 0.1, device: "d".into() };
            let text = line(&finished).unwrap();
            let back: Finished = serde_json::from_str(&text).unwrap();
            assert_eq!(back.nats.to_bits(), nats.to_bits(), "{text}");
        }
    }
}
