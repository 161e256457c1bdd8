//! Which names a member may have: relative, plain, each once. Nothing is ever written under these
//! names, but the validator does unpack, and two readers must not disagree about what is where.

use crate::{Error, ErrorKind, Rejection, Result, limits, order};

/// Refuses a name that is empty, absolute, or has an empty, `.` or `..` component or a NUL.
///
/// A backslash is an ordinary character, as it is for the validator (which runs on Linux).
pub(super) fn check(name: &str) -> Result<()> {
    let fault = if name.is_empty() {
        "the name is empty"
    } else if name.starts_with('/') {
        "the path is absolute"
    } else if name.contains('\0') {
        "the name holds a NUL"
    } else if name.split('/').any(|part| part == "..") {
        "the path leaves its folder with `..`"
    } else if name.split('/').any(|part| part.is_empty() || part == ".") {
        "the path has an empty or `.` component"
    } else {
        return check_length(name);
    };
    Err(Error::new(ErrorKind::BadName, "an unsafe member name")
        .within(name.escape_debug())
        .expected_found("a relative path of plain components", fault))
}

/// Refuses a name that the validator's file system (Linux) has no room for; [`check`] asks this too.
pub(super) fn check_length(name: &str) -> Result<()> {
    let longest = name.split('/').map(str::len).max().unwrap_or_default();
    if longest <= limits::NAME_BYTES && name.len() <= limits::PATH_BYTES {
        return Ok(());
    }
    let expected = format!("at most {} bytes, {} between slashes", limits::PATH_BYTES, limits::NAME_BYTES);
    Err(Error::new(ErrorKind::BadName, "a member name is too long to be unpacked")
        .within(name.chars().take(40).collect::<String>().escape_debug())
        .expected_found(expected, format!("{} bytes, {longest} between slashes", name.len())))
}

/// Refuses a name that would be unpacked outside the archive's folder, as the validator does. `stored` is the name
/// as the archive spells it.
pub(super) fn check_stays(stored: &str) -> Result<()> {
    if !leaves(stored) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::BadName, "an unsafe member name")
        .within(stored.escape_debug())
        .expected_found("a relative path of plain components", "the path leaves the archive's folder")
        .rejected_as(Rejection::UnsafePath(stored.to_owned())))
}

/// Whether a path is absolute, or its `..` lead out of the folder that it starts in.
fn leaves(name: &str) -> bool {
    let mut depth = 0_usize;
    name.starts_with('/')
        || name.split('/').any(|part| match part {
            "" | "." => false,
            ".." if depth == 0 => true,
            ".." => {
                depth -= 1;
                false
            }
            _ => {
                depth += 1;
                false
            }
        })
}

/// Refuses a name that occurs twice, unless as a folder, and a file that is also a folder. `names` holds names
/// without a trailing `/` and whether each is a folder.
pub(super) fn check_all<'n>(names: impl Iterator<Item = (&'n str, bool)>) -> Result<()> {
    let mut names: Vec<_> = names.collect();
    // With `/` below every other character, what lies in a folder comes right behind the folder.
    order::sort_by(&mut names, |a, b| sort_key(a.0).cmp(sort_key(b.0)));
    for pair in names.windows(2) {
        let [(name, is_folder), (next, next_is_folder)] = pair else { continue };
        if name == next && !(*is_folder && *next_is_folder) {
            return Err(Error::new(ErrorKind::BadName, "a member name occurs twice")
                .within(next.escape_debug())
                .expected_found("each name once", "two members of this name"));
        }
        let below = next.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
        if below && !is_folder {
            return Err(Error::new(ErrorKind::BadName, "a file is used as a folder")
                .within(name.escape_debug())
                .expected_found(
                    "a file or a folder of this name",
                    format!("a file, and the member {next:?}"),
                ));
        }
    }
    Ok(())
}

fn sort_key(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| if byte == b'/' { 0 } else { byte })
}

/// The part of a path before its last `/`, `""` when it has none.
pub(super) fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The part of a path behind its last `/`.
pub(crate) fn base(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, base)| base)
}
