//! The door: what the artifact is, and its structure.

use super::window::{Need, Pause, Window};
use super::{
    Artifact, Compression, Compressor, ContainerKind, Member, TarStream, compressed, gguf, model, names,
    safetensors, tar, zip,
};
use crate::{Error, ErrorKind, Rejection, Result, limits, order};

/// What the files of a [`Window`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// All regular files of one folder, under their `/`-separated paths relative to it.
    Folder,
    /// One file, the artifact itself, under its bare name.
    File,
}

/// Reads the structure of an artifact: members, config.json, tensors; no weights.
///
/// Needs more bytes a few times before it is done; feed them and call it again. A single file is
/// told by its contents, not by its name: a zip by its end record, otherwise a tar by its first header, GGUF and
/// compressed tars by their first bytes, safetensors by its header. The model is in the folder of the config.json that is
/// nearest to the root; without any it is in the root.
///
/// # Errors
/// [`Pause::Need`] and [`Pause::Unpack`] where more is to be fed; otherwise what is wrong with the artifact.
pub fn open(window: &Window, root: Root) -> Result<Artifact, Pause> {
    let size_bytes = window.files().iter().try_fold(0_u64, |sum, (_, len)| sum.checked_add(*len));
    let Some(size_bytes) = size_bytes else {
        return Err(Error::new(ErrorKind::TooLarge, "the files are too long together")
            .within("the artifact")
            .expected_found("less than 2^64 bytes", "more")
            .into());
    };
    let (kind, members) = match root {
        Root::Folder => (ContainerKind::Folder, folder(window)?),
        Root::File => file(window)?,
    };
    let read = model::read(window, kind, size_bytes, members);
    let is_one_file = matches!(kind, ContainerKind::Safetensors | ContainerKind::Gguf);
    read.map_err(|pause| if is_one_file { pause.rejected_as(rejection(window)) } else { pause })
}

/// [`open`] for a caller that can read any range at once: `fetch` gives exactly the bytes asked for.
///
/// # Errors
/// What is wrong with the artifact, and what `fetch` fails with.
pub fn fetch_and_open(
    window: &mut Window,
    root: Root,
    mut fetch: impl FnMut(Need) -> Result<Vec<u8>>,
) -> Result<Artifact> {
    loop {
        let needs = match open(window, root) {
            Ok(artifact) => return Ok(artifact),
            Err(Pause::Failed(error)) => return Err(error),
            Err(Pause::Unpack(compressor)) => return unpack_and_open(window, compressor, &mut fetch),
            Err(Pause::Need(needs)) => needs,
        };
        for need in needs {
            let bytes = fetch_exactly(window, need, &mut fetch)?;
            window.feed(need.file, need.offset, bytes)?;
        }
    }
}

/// Fetches one range, of exactly the length that was asked for.
fn fetch_exactly(
    window: &Window,
    need: Need,
    fetch: &mut dyn FnMut(Need) -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let bytes = fetch(need).map_err(|error| error.within(window.name(need.file)))?;
    if bytes.len() as u64 == need.len {
        return Ok(bytes);
    }
    Err(Error::new(ErrorKind::Truncated, "the read returned the wrong number of bytes")
        .within(window.name(need.file))
        .at(need.offset)
        .expected_found(format!("{} bytes", need.len), bytes.len()))
}

/// Reads the structure of a compressed tar, the only file of the window.
fn unpack_and_open(
    window: &Window,
    compressor: Compressor,
    fetch: &mut dyn FnMut(Need) -> Result<Vec<u8>>,
) -> Result<Artifact> {
    /// Bytes fetched at a time.
    const PIECE_BYTES: u64 = 1 << 20;
    let mut tar = TarStream::new(window.name(0), compressor)?;
    let mut offset = 0;
    while offset < window.len(0) {
        let len = PIECE_BYTES.min(window.len(0) - offset);
        tar.push(&fetch_exactly(window, Need { file: 0, offset, len }, fetch)?)?;
        offset += len;
    }
    tar.finish()
}

/// A folder's files, sorted by name so that the order of the listing does not matter.
fn folder(window: &Window) -> Result<Vec<Member>> {
    let files = window.files();
    if files.len() as u64 > limits::MEMBERS_COUNT {
        return Err(Error::new(ErrorKind::TooLarge, "the folder has too many files")
            .within("the artifact")
            .expected_found(format!("at most {}", limits::MEMBERS_COUNT), files.len()));
    }
    files.iter().try_for_each(|(name, _)| names::check(name))?;
    names::check_all(files.iter().map(|(name, _)| (name.as_str(), false)))?;
    let mut members: Vec<Member> =
        files.iter().enumerate().map(|(file, (name, len))| whole_file(file, name, *len)).collect();
    order::sort_by(&mut members, |a, b| a.name.cmp(&b.name));
    Ok(members)
}

/// A single file's kind and members.
fn file(window: &Window) -> Result<(ContainerKind, Vec<Member>), Pause> {
    let [(name, len)] = window.files() else {
        return Err(Error::new(ErrorKind::Missing, "not a single file")
            .within("the artifact")
            .expected_found("one file", format!("{} files", window.files().len()))
            .into());
    };
    if let Some(members) = zip::members(window, 0)? {
        return Ok((ContainerKind::Zip, members));
    }
    let first = window.get(0, 0, (*len).min(tar::BLOCK))?;
    zip::check_absent(window, 0)?;
    if tar::looks_like(first) {
        if compressed::may_be_compressed(first) {
            let error = Error::new(ErrorKind::Malformed, "the tar may be taken for a compressed one");
            return Err(error
                .at(0)
                .expected_found("the name of its first member", describe(first))
                .hint("write the archive again, with its files in another order")
                .within(name)
                .into());
        }
        return Ok((ContainerKind::Tar, tar::members(window, 0)?));
    }
    if first.starts_with(gguf::MAGIC) {
        return Ok((ContainerKind::Gguf, vec![whole_file(0, name, *len)]));
    }
    if safetensors::looks_like(first) {
        return Ok((ContainerKind::Safetensors, vec![whole_file(0, name, *len)]));
    }
    if let Some(compressor) = Compressor::of(first) {
        return Err(Pause::Unpack(compressor));
    }
    let error = if *len <= safetensors::LENGTH_BYTES {
        Error::new(ErrorKind::Truncated, "the file is too short to be an artifact")
            .expected_found("more than 8 bytes", len)
    } else {
        Error::new(ErrorKind::Unsupported, "the file is not an artifact that can be read")
            .expected_found(
                "a model folder, a zip or tar of one, a safetensors or a GGUF file",
                describe(first),
            )
            .hint("give the model folder itself, or a zip or tar of it")
    };
    Err(Pause::from(error.at(0).within(name)).rejected_as(rejection(window)))
}

/// What the validator says of a single file that is neither a zip nor, here, a tar; nothing where it may read it.
fn rejection(window: &Window) -> Option<Rejection> {
    let first = window.get(0, 0, window.len(0).min(tar::BLOCK)).ok()?;
    tar::rejection(first)
        .filter(|rejection| *rejection != Rejection::NoArchive || !compressed::may_be_lzma(first))
}

fn whole_file(file: usize, name: &str, len: u64) -> Member {
    Member {
        name: name.to_owned(),
        file,
        offset: 0,
        stored_bytes: len,
        bytes: len,
        compression: Compression::Stored,
        crc32: None,
        header: None,
        hard_link: None,
    }
}

/// What a file that cannot be read seems to be.
fn describe(first: &[u8]) -> String {
    if first.starts_with(b"{") {
        return "JSON text".into();
    }
    format!("a file that begins with {:02x?}", &first[..first.len().min(8)])
}
