//! The byte ranges of the artifact's files that are known so far.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::tar::Walker;
use super::{Compressor, FileId};
use crate::{Error, ErrorKind, Rejection, memory};

/// Shortest range that [`Window::get`] asks for where the file is long enough: a round trip costs
/// more than its bytes.
pub const READ_AHEAD_BYTES: u64 = 64 << 10;

/// Needed ranges of one file that are nearer to each other than this are fetched as one.
const JOIN_GAP_BYTES: u64 = 16 << 10;
/// Most bytes that are fetched for no other reason than that; the gap shrinks where there are many ranges.
const JOINED_GAPS_BYTES: u64 = 64 << 20;

/// A byte range that the parser needs before it can go on. It lies within the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Which file.
    pub file: FileId,
    /// First byte.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
}

/// Why a parser stopped.
#[derive(Debug)]
pub enum Pause {
    /// All of these ranges are needed; feed them, in any order, and start the parser again.
    Need(Vec<Need>),
    /// The file is a tar, compressed like this: push all of it through a [`super::TarStream`], which gives the
    /// structure in the parser's stead. Or it is a zip with members that this build has no decoder for.
    Unpack(Compressor),
    /// The input is faulty.
    Failed(Error),
}

impl Pause {
    /// Puts an outer name in front of a failure's place.
    pub(super) fn within(self, outer: &str) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(error.within(outer)),
            other => other,
        }
    }

    /// Adds to a failure what the validator says of the same input, where that is certain.
    pub(super) fn rejected_as(self, rejection: Option<Rejection>) -> Self {
        match (self, rejection) {
            (Self::Failed(error), Some(rejection)) => Self::Failed(error.rejected_as(rejection)),
            (other, _) => other,
        }
    }
}

impl From<Error> for Pause {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Known byte ranges of files whose names and lengths are known from the start.
#[derive(Default)]
pub struct Window {
    files: Vec<(String, u64)>,
    /// Per file: start -> bytes. The ranges neither overlap nor touch, because `feed` joins them.
    known: Vec<BTreeMap<u64, Vec<u8>>>,
    /// How far the tar, the only file, was walked through before the last pause, and where the last header ended.
    pub(super) walked: Cell<Option<(Box<Walker>, u64)>>,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Window({} files)", self.files.len())
    }
}

impl Window {
    /// A window over files with these names and lengths in bytes, nothing of them known yet.
    pub fn new(files: Vec<(String, u64)>) -> Self {
        let known = files.iter().map(|_| BTreeMap::new()).collect();
        Self { files, known, walked: Cell::default() }
    }

    /// Names and lengths of the files.
    pub fn files(&self) -> &[(String, u64)] {
        &self.files
    }

    /// Name of a file.
    pub fn name(&self, file: FileId) -> &str {
        &self.files[file].0
    }

    /// Length of a file in bytes.
    pub fn len(&self, file: FileId) -> u64 {
        self.files[file].1
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Adds bytes of a file, those that a [`Pause::Need`] asked for or more.
    ///
    /// # Errors
    /// There is not enough memory to join them with what is known.
    pub fn feed(&mut self, file: FileId, offset: u64, bytes: Vec<u8>) -> Result<(), Error> {
        let known = &mut self.known[file];
        let (mut start, mut joined) = (offset, bytes);
        let left = known.range(..=offset).next_back().map(|(left, chunk)| (*left, end(*left, chunk)));
        if let Some((left, _)) = left.filter(|(_, left_end)| *left_end >= offset) {
            let mut chunk = known.remove(&left).unwrap_or_default();
            append(left, &mut chunk, start, &joined)?;
            (start, joined) = (left, chunk);
        }
        while let Some(right) = known.range(start..).next().map(|(right, _)| *right) {
            if right > end(start, &joined) {
                break;
            }
            let chunk = known.remove(&right).unwrap_or_default();
            append(start, &mut joined, right, &chunk)?;
        }
        known.insert(start, joined);
        Ok(())
    }

    /// `len` bytes at `offset` of `file`.
    ///
    /// # Errors
    /// A range past the file's end is a truncated input; the error has no place yet, the caller
    /// knows what it was reading. A range not fed yet is a need, of [`READ_AHEAD_BYTES`] or more so
    /// that what follows is there too.
    pub fn get(&self, file: FileId, offset: u64, len: u64) -> Result<&[u8], Pause> {
        self.get_ahead(file, offset, len, READ_AHEAD_BYTES)
    }

    /// The same where less is worth reading ahead.
    pub(super) fn get_ahead(&self, file: FileId, offset: u64, len: u64, ahead: u64) -> Result<&[u8], Pause> {
        let need = Need { file, offset, len };
        self.check(need)?;
        if let Some(missing) = self.missing(need) {
            let left = self.len(file) - missing.offset;
            let len = missing.len.max(ahead).min(left);
            return Err(Pause::Need(vec![Need { len, ..missing }]));
        }
        Ok(self.covering(need).unwrap_or_default())
    }

    /// Makes sure that all of these ranges are known, or stops once for all that are not: many
    /// scattered ranges then cost one round trip and one restart of the parser.
    ///
    /// # Errors
    /// As [`Window::get`].
    pub fn want(&self, ranges: impl IntoIterator<Item = Need>) -> Result<(), Pause> {
        let mut missing = Vec::new();
        for need in ranges {
            self.check(need)?;
            missing.extend(self.missing(need));
        }
        missing.sort_unstable();
        let gap = JOIN_GAP_BYTES.min(JOINED_GAPS_BYTES / (missing.len() as u64).max(1));
        let mut joined: Vec<Need> = Vec::new();
        for need in missing {
            match joined.last_mut() {
                Some(last) if last.file == need.file && need.offset <= last.offset + last.len + gap => {
                    let end = (need.offset + need.len).max(last.offset + last.len);
                    last.len = end - last.offset;
                }
                _ => joined.push(need),
            }
        }
        if joined.is_empty() { Ok(()) } else { Err(Pause::Need(joined)) }
    }

    /// All results, or one pause for everything that they need: what is asked for one after the other would make the
    /// parser start over as often.
    pub(super) fn all<T>(&self, results: impl Iterator<Item = Result<T, Pause>>) -> Result<Vec<T>, Pause> {
        let (mut values, mut needs) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(value) => values.push(value),
                Err(Pause::Need(more)) => needs.extend(more),
                Err(pause) => return Err(pause),
            }
        }
        self.want(needs)?;
        Ok(values)
    }

    /// Refuses a range that does not lie within its file.
    fn check(&self, need: Need) -> Result<(), Error> {
        let size = self.len(need.file);
        if need.offset.checked_add(need.len).is_some_and(|end| end <= size) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Truncated, "the file ends too early").at(need.offset).expected_found(
            format!("{} bytes at offset {}", need.len, need.offset),
            format!("a file of {size} bytes"),
        ))
    }

    /// What is left of a range after its known beginning; nothing when all of it is known.
    fn missing(&self, need: Need) -> Option<Need> {
        if need.len == 0 {
            return None;
        }
        let stop = need.offset + need.len;
        let before = self.known[need.file].range(..=need.offset).next_back();
        let offset = before.map_or(need.offset, |(start, bytes)| end(*start, bytes).max(need.offset));
        (offset < stop).then(|| Need { file: need.file, offset, len: stop - offset })
    }

    fn covering(&self, need: Need) -> Option<&[u8]> {
        let (start, bytes) = self.known[need.file].range(..=need.offset).next_back()?;
        let skip = usize::try_from(need.offset - start).ok()?;
        bytes.get(skip..skip.checked_add(usize::try_from(need.len).ok()?)?)
    }
}

fn end(start: u64, bytes: &[u8]) -> u64 {
    start + bytes.len() as u64
}

/// Appends to `left` what `right` holds past its end. `right` starts within or right after `left`.
fn append(left_start: u64, left: &mut Vec<u8>, right_start: u64, right: &[u8]) -> Result<(), Error> {
    let overlap = usize::try_from(end(left_start, left) - right_start).unwrap_or(usize::MAX);
    memory::append(left, right.get(overlap..).unwrap_or_default(), "headers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_what_it_is_fed_and_asks_only_for_the_rest() {
        let bytes: Vec<u8> = (0..200_u8).collect();
        let mut window = Window::new(vec![("f".into(), 200)]);
        for range in [50..60, 0..10, 58..100, 10..20, 40..55, 20..40] {
            window.feed(0, range.start, bytes[range.start as usize..range.end as usize].to_vec()).unwrap();
        }
        assert_eq!(window.known[0].len(), 1);
        assert_eq!(window.get(0, 0, 100).unwrap(), &bytes[..100]);
        let Err(Pause::Need(needs)) = window.get(0, 90, 20) else { panic!("bytes 100.. were never fed") };
        assert_eq!(needs, [Need { file: 0, offset: 100, len: 100 }]);
    }

    #[test]
    fn wants_of_one_neighbourhood_become_one_need() {
        let window = Window::new(vec![("f".into(), 1 << 30), ("g".into(), 100)]);
        let need = |file, offset, len| Need { file, offset, len };
        let wants = [need(0, 1 << 29, 8), need(0, 100, 50), need(0, 0, 30), need(1, 0, 100)];
        let Err(Pause::Need(needs)) = window.want(wants) else { panic!("nothing is known") };
        assert_eq!(needs, [need(0, 0, 150), need(0, 1 << 29, 8), need(1, 0, 100)]);
        assert!(matches!(window.want([need(1, 99, 2)]), Err(Pause::Failed(_))));
        assert!(matches!(window.want([need(1, u64::MAX, 2)]), Err(Pause::Failed(_))));
    }
}
