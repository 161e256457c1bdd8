//! Tar archives: v7, ustar, GNU and pax, as Python's `tarfile`, and so the validator, reads them.
//!
//! Stricter where two readers could understand an archive differently: links, devices, sparse files, names that
//! leave the folder or occur twice are refused. Members that begin with `./` are those without it. What follows
//! the mark of the end is not read, by nobody.

mod header;
mod records;
mod walker;

use super::Member;
use super::window::{FileId, Pause, Window};
use crate::Result;

pub(super) use header::BLOCK;
pub(super) use walker::Walker;

/// Whether a file or stream that begins like this is meant as a tar.
pub(super) fn looks_like(first: &[u8]) -> bool {
    first.get(..BLOCK as usize).is_some_and(header::looks_like)
}

/// The members of a plain tar in storage order, without folders.
pub(super) fn members(window: &Window, file: FileId) -> Result<Vec<Member>, Pause> {
    read(window, file).map_err(|pause| pause.within(window.name(file)))
}

fn read(window: &Window, file: FileId) -> Result<Vec<Member>, Pause> {
    let mut walker = Walker::new(file);
    let end = window.len(file);
    while let Some((offset, len)) = walker.wants().filter(|_| !walker.may_end_at(end)) {
        walker.take(window.get(file, offset, len)?)?;
    }
    Ok(walker.finish(end)?)
}
