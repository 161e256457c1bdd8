//! Tar archives: v7, ustar, GNU and pax, as Python's `tarfile`, and so the validator, reads them.
//!
//! Stricter where two readers could understand an archive differently: symbolic links, devices, sparse files, names that
//! leave the folder or occur twice are refused. Members that begin with `./` are those without it. Nothing
//! after the end-of-archive marker is read, by this reader or any other.

mod header;
mod records;
mod walker;

use super::window::{Pause, READ_AHEAD_BYTES, Window};
use super::{FileId, Member};
use crate::{Rejection, Result};

pub(super) use header::BLOCK;
pub(super) use walker::Walker;

/// Whether a file or stream that begins like this is meant as a tar.
pub(super) fn looks_like(first: &[u8]) -> bool {
    first.get(..BLOCK as usize).is_some_and(header::looks_like)
}

/// What the validator makes of a file or stream that begins like this and is no tar here: it takes zeros for an empty
/// tar. Nothing where its reader may see a tar.
pub(super) fn rejection(first: &[u8]) -> Option<Rejection> {
    let block = first.get(..BLOCK as usize);
    if block.is_some_and(header::is_end) {
        return Some(Rejection::NoConfig);
    }
    header::is_refused_by_python(first).then_some(Rejection::NoArchive)
}

/// The members of a plain tar in storage order, without folders.
pub(super) fn members(window: &Window, file: FileId) -> Result<Vec<Member>, Pause> {
    read(window, file).map_err(|pause| pause.within(window.name(file)))
}

/// Read ahead of a header that lies far behind the one before.
const FAR_AHEAD_BYTES: u64 = 4 << 10;

/// Goes on where the last pause left off: from the beginning each time, the work would be quadratic.
fn read(window: &Window, file: FileId) -> Result<Vec<Member>, Pause> {
    let (mut walker, mut known) = window.walked.take().unwrap_or_else(|| (Box::new(Walker::new(file)), 0));
    let end = window.len(file);
    while let Some((offset, len)) = walker.wants().filter(|_| !walker.may_end_at(end)) {
        let is_near = offset - known <= READ_AHEAD_BYTES;
        let ahead = if is_near { READ_AHEAD_BYTES } else { FAR_AHEAD_BYTES };
        let bytes = match window.get_ahead(file, offset, len, ahead) {
            Ok(bytes) => bytes,
            Err(pause) => {
                window.walked.set(Some((walker, known)));
                return Err(pause);
            }
        };
        let taken = walker.take(bytes);
        taken.map_err(|error| Pause::from(error).rejected_as(rejection(bytes).filter(|_| offset == 0)))?;
        known = offset + len;
    }
    Ok(walker.finish(end)?)
}
