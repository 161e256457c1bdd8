//! Reading and checking a file of finished documents.
//!
//! A run that is killed, or a machine that loses power, leaves lines that are torn and blocks of NULs. Those are told
//! from a file that is of something else: the first are left out and said, the second is refused.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bitgauge_core::{Error, ErrorKind, Result};
use bitgauge_eval::Finished;

use super::{Run, VERSION};

/// Longest file that is read.
const FILE_BYTES: u64 = 1 << 30;
/// How the first line begins, whatever the run.
const RUN_BEGINS: &[u8] = b"{\"losses_version\":";
/// How every other line begins.
const FINISHED_BEGINS: &[u8] = b"{\"document\":";

/// What a file holds.
pub(super) enum Contents {
    Losses(Box<Losses>),
    /// The first line is torn, so nothing tells what the others belong to.
    Torn,
}

/// A file whose first line is whole.
pub(super) struct Losses {
    pub run: Run,
    pub finished: Vec<Finished>,
    /// Bytes of its whole lines.
    pub whole_bytes: u64,
    /// Whether a torn line follows them.
    pub is_torn: bool,
    /// Numbers of torn lines among them, from 1.
    pub torn_lines: Vec<usize>,
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
            .expected_found(format!("at most {FILE_BYTES} bytes"), "more"));
    }
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let run = match serde_json::from_slice::<Run>(first.trim_ascii_end()) {
        Ok(run) if first.ends_with(b"\n") => run,
        // Written to the end, but for the line's: nothing else was.
        Ok(_) => return Ok(Contents::Torn),
        Err(error) if is_torn_run(first, &error) => return Ok(Contents::Torn),
        Err(error) => return Err(malformed(&error).within("line 1")),
    };
    if run.losses_version != VERSION {
        return Err(Error::new(ErrorKind::Unsupported, "the file has another version")
            .expected_found(format!("losses_version {VERSION}"), run.losses_version));
    }
    run.check_size()?;
    let mut seen = vec![false; run.documents as usize];
    let mut losses = Losses {
        run,
        finished: Vec::new(),
        whole_bytes: first.len() as u64,
        is_torn: false,
        torn_lines: Vec::new(),
    };
    for (number, line) in (2..).zip(lines) {
        let place = |error: Error| error.within(format!("line {number}"));
        if !line.ends_with(b"\n") {
            losses.is_torn = true;
            break;
        }
        losses.whole_bytes += line.len() as u64;
        let Line { finished, is_torn } = parse_line(line).map_err(place)?;
        if is_torn {
            losses.torn_lines.push(number);
        }
        if let Some(entry) = finished {
            check(&losses.run, &entry, &mut seen).map_err(place)?;
            losses.finished.push(entry);
        }
    }
    Ok(Contents::Losses(Box::new(losses)))
}

/// Whether a first line that can't be read is what is left of one that was.
fn is_torn_run(line: &[u8], error: &serde_json::Error) -> bool {
    let nul = line.iter().position(|&byte| byte == 0);
    let before = &line[..nul.unwrap_or(line.len())];
    let common = before.len().min(RUN_BEGINS.len());
    (nul.is_some() || error.is_eof()) && before[..common] == RUN_BEGINS[..common]
}

/// What a line gives.
struct Line {
    finished: Option<Finished>,
    /// Whether some of it is lost.
    is_torn: bool,
}

/// Reads a line. A torn one may have another, whole one behind it, which was added later.
fn parse_line(line: &[u8]) -> Result<Line> {
    // Without the end, behind which a torn line would go on.
    let line = line.trim_ascii_end();
    let error = match serde_json::from_slice(line) {
        Ok(finished) => return Ok(Line { finished: Some(finished), is_torn: false }),
        Err(error) => error,
    };
    let last = line.windows(FINISHED_BEGINS.len()).rposition(|window| window == FINISHED_BEGINS);
    let added = last.filter(|&start| start > 0).and_then(|start| serde_json::from_slice(&line[start..]).ok());
    if added.is_some() || error.is_eof() || line.contains(&0) {
        return Ok(Line { finished: added, is_torn: true });
    }
    Err(malformed(&error))
}

/// Checks one document, and marks it as seen.
fn check(run: &Run, entry: &Finished, seen: &mut [bool]) -> Result<()> {
    let bad = |what: &str, expected: String, found: String| {
        Err(Error::new(ErrorKind::BadValue, what).expected_found(expected, found))
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
        return bad(
            "a loss is not a number",
            "a finite number".into(),
            format!("{nats} over {tokens} tokens"),
        );
    }
    Ok(())
}

fn malformed(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, "the file holds no losses of documents")
        .expected_found("what `bitgauge eval --resume` writes", error)
}

pub(super) fn io_error(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the losses can't be read or written")
        .within(path.display())
        .expected_found("a file in an existing folder", error)
}

impl Losses {
    /// What was lost, for people.
    pub(super) fn warnings(&self) -> Vec<String> {
        let torn = self.torn_lines.iter();
        let torn = torn.map(|number| format!("line {number} is torn and left out"));
        torn.chain(self.is_torn.then(|| "the torn last line was dropped".to_owned())).collect()
    }
}
