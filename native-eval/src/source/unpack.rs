//! Unpacks an archive into a folder, by the rules of the validator: Python's `zipfile` and `tarfile`.
//!
//! What those two would write outside the folder is refused before anything is written. Beyond that,
//! links and special files are refused too, which the validator's Python may still follow.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use bitgauge_core::contract::Halt;
use bitgauge_core::contract::python::Raised;
use bitgauge_core::{Error, ErrorKind, limits};

use crate::input::io_error;

/// Bytes of a tar's header.
const TAR_BLOCK: u64 = 512;
/// What the validator says of anything else.
const NO_ARCHIVE: &str = "submission artifact must be a Hugging Face model directory, .zip, or tar archive";

/// Unpacks the zip, or the plain or compressed tar, at `archive` into the empty folder `root`.
///
/// # Errors
/// What is no archive, member names that leave the folder, in the validator's words; links, more than
/// [`limits::UNPACKED_BYTES`], and what the archive's reader or the disk complains about.
pub fn unpack(archive: &Path, root: &Path) -> Result<(), Halt> {
    let mut file = File::open(archive).map_err(|error| io_error(&error).within(archive.display()))?;
    match zip::ZipArchive::new(BufReader::new(&mut file)) {
        Ok(mut zip) => return unpack_zip(&mut zip, root),
        Err(zip::result::ZipError::InvalidArchive(_)) => {}
        Err(error) => return Err(fault(archive, &error)),
    }
    let compression = Compression::of(&mut file).map_err(|error| fault(archive, &error))?;
    let open = || -> Result<_, Halt> {
        let file = File::open(archive).map_err(|error| fault(archive, &error))?;
        Ok(compression.reader(BufReader::new(file)))
    };
    let mut first = Vec::new();
    let read = open()?.take(TAR_BLOCK).read_to_end(&mut first);
    if read.is_err() || (first.len() as u64) < TAR_BLOCK {
        return Err(Raised::runtime(NO_ARCHIVE).into());
    }
    // The names of all members come first, so that an unsafe one leaves nothing behind.
    check_tar(&mut tar::Archive::new(open()?), archive)?;
    unpack_tar(&mut tar::Archive::new(open()?), archive, root)
}

fn fault(place: &Path, why: &dyn std::fmt::Display) -> Halt {
    Error::new(ErrorKind::Malformed, "the archive can't be unpacked")
        .within(place.display())
        .expected("a sound archive and room on the disk", why)
        .into()
}

/// A path's components with `.` and `..` resolved; nothing when it leaves the root.
fn normalised(name: &str) -> Option<Vec<&str>> {
    if name.starts_with('/') {
        return None;
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts)
}

fn unsafe_path(name: &str) -> Halt {
    Raised::runtime(format!("unsafe archive path: {name}")).into()
}

/// Copies at most what is left of the budget into a new file, or over an old one.
fn write(root: &Path, parts: &[&str], from: &mut dyn Read, budget: &mut u64) -> io::Result<()> {
    let path = root.join(parts.join("/"));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path)?;
    let written = io::copy(&mut from.take(*budget + 1), &mut file)?;
    *budget = budget.checked_sub(written).ok_or_else(|| {
        io::Error::other(format!("the archive unpacks to more than {} bytes", limits::UNPACKED_BYTES))
    })?;
    Ok(())
}

fn check_count(count: usize, archive: &Path) -> Result<(), Halt> {
    if count as u64 > limits::MEMBERS_COUNT {
        return Err(fault(archive, &format!("more than {} members", limits::MEMBERS_COUNT)));
    }
    Ok(())
}

fn unpack_zip(zip: &mut zip::ZipArchive<impl Read + Seek>, root: &Path) -> Result<(), Halt> {
    check_count(zip.len(), root)?;
    let names: Vec<String> = (0..zip.len())
        .map(|i| zip.by_index_raw(i).and_then(|member| Ok(member.name()?.into_owned())))
        .collect::<Result<_, _>>()
        .map_err(|error| fault(root, &error))?;
    if let Some(name) = names.iter().find(|name| normalised(name).is_none()) {
        return Err(unsafe_path(name));
    }
    let mut budget = limits::UNPACKED_BYTES;
    for (i, name) in names.iter().enumerate() {
        // `zipfile` drops what it does not like in a path, `..` included, rather than follow it.
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
        let mut member = zip.by_index(i).map_err(|error| fault(Path::new(name), &error))?;
        let done = if name.ends_with('/') {
            fs::create_dir_all(root.join(parts.join("/")))
        } else {
            write(root, &parts, &mut member, &mut budget)
        };
        done.map_err(|error| fault(Path::new(name), &error))?;
    }
    Ok(())
}

type TarReader = tar::Archive<Box<dyn Read>>;

/// Refuses archives that are none, unsafe names, and what is neither file nor folder.
fn check_tar(tar: &mut TarReader, archive: &Path) -> Result<(), Halt> {
    let entries = tar.entries().map_err(|error| fault(archive, &error))?;
    let mut odd = None;
    for (count, entry) in entries.enumerate() {
        check_count(count, archive)?;
        let entry = match entry {
            Ok(entry) => entry,
            Err(_) if count == 0 => return Err(Raised::runtime(NO_ARCHIVE).into()),
            Err(error) => return Err(fault(archive, &error)),
        };
        let name = name_of(&entry);
        if normalised(&name).is_none() {
            return Err(unsafe_path(&name));
        }
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_dir() || kind.is_contiguous()) {
            odd.get_or_insert(name);
        }
    }
    odd.map_or(Ok(()), |name| {
        Err(Error::new(ErrorKind::Unsupported, "a tar member is neither a file nor a folder")
            .within(name)
            .expected("files and folders", "a link, a device or a sparse file")
            .hint("pack the files that links point to in their place")
            .into())
    })
}

fn unpack_tar(tar: &mut TarReader, archive: &Path, root: &Path) -> Result<(), Halt> {
    let mut budget = limits::UNPACKED_BYTES;
    for entry in tar.entries().map_err(|error| fault(archive, &error))? {
        let mut entry = entry.map_err(|error| fault(archive, &error))?;
        let name = name_of(&entry);
        let parts = normalised(&name).ok_or_else(|| unsafe_path(&name))?;
        let done = if entry.header().entry_type().is_dir() {
            fs::create_dir_all(root.join(parts.join("/")))
        } else {
            write(root, &parts, &mut entry, &mut budget)
        };
        done.map_err(|error| fault(Path::new(&name), &error))?;
    }
    Ok(())
}

fn name_of(entry: &tar::Entry<Box<dyn Read>>) -> String {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    // Python drops the slash that ends a folder's name.
    name.strip_suffix('/').map(str::to_owned).unwrap_or(name)
}

/// How a tar is compressed, told by its first bytes.
#[derive(Clone, Copy)]
enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
}

impl Compression {
    fn of(file: &mut File) -> io::Result<Self> {
        let mut first = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.take(6).read_to_end(&mut first)?;
        Ok(match first.as_slice() {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Self::Xz,
            _ => Self::None,
        })
    }

    fn reader(self, file: BufReader<File>) -> Box<dyn Read> {
        match self {
            Self::None => Box::new(file),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
            Self::Xz => Box::new(lzma_rust2::XzReader::new(file, true)),
        }
    }
}
