//! The forms that the packed model can take on disk, and how many bytes each has.

use std::ffi::OsStr;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use bitgauge_core::{Error, ErrorKind, Result};
use lzma_rust2::{FilterType, XzOptions, XzWriter};
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime, System};

use super::files::{SmallFile, WEIGHTS};

/// The weights start at a multiple of this in a zip, so that tensors can be mapped into memory.
const WEIGHTS_ALIGNMENT: u16 = 64;
/// From this length on a zip member needs 64-bit sizes.
const ZIP64_BYTES: u64 = u32::MAX as u64;
/// Level of deflate for the small files: the smallest result.
const DEFLATE_LEVEL: i64 = 9;

/// Endings of archives and model files that are not written. Other names are folders': models are called
/// `Qwen3-0.6B` and the like.
const NOT_WRITTEN: [&str; 12] =
    ["7z", "bz2", "gguf", "gz", "pt", "pth", "rar", "safetensors", "tbz2", "tgz", "xz", "zst"];
/// Preset of xz: its own default, a dictionary of 8 MiB.
const XZ_PRESET: u32 = 6;
/// xz makes what it can't compress longer by no more than this part, and this many bytes.
const XZ_GROWTH: u64 = 16_384;
const XZ_GROWTH_BYTES: u64 = 4096;
/// Contents of a tar's members are padded to a multiple of this.
const TAR_BLOCK: u64 = 512;

/// Folder or archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Folder,
    Archive(Archive),
}

/// One file that holds all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Archive {
    Zip,
    Tar,
    /// A tar compressed by xz.
    TarXz,
    /// A zip whose weights are deflated.
    DeflatedZip,
    /// A tar of numbers compressed by xz, each first taken from the one so many bytes before it, if that is not 0.
    DeltaXz(u32),
}

impl Form {
    /// The form that a target's name asks for.
    ///
    /// # Errors
    /// A name that asks for a form that is not written.
    pub(super) fn of(out: &Path) -> Result<Self> {
        let extension = out.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "zip" => Ok(Self::Archive(Archive::Zip)),
            "tar" => Ok(Self::Archive(Archive::Tar)),
            "txz" => Ok(Self::Archive(Archive::TarXz)),
            "xz" if is_tar(out.file_stem()) => Ok(Self::Archive(Archive::TarXz)),
            other if NOT_WRITTEN.contains(&other) => {
                Err(Error::new(ErrorKind::BadName, "this form of file can't be written")
                    .within(out.display())
                    .expected_found(
                        "a name that ends in .zip, .tar or .tar.xz, or a folder's",
                        format!(".{other}"),
                    ))
            }
            _ => Ok(Self::Folder),
        }
    }

    /// Exact bytes of the artifact with weights of this length; of a compressed one the most that it can have.
    ///
    /// An archive is written as it will be, with zeros for weights, to a sink that only counts: nothing
    /// here has to know how its records look. Four gigabytes take about a second.
    pub(super) fn bytes(self, files: &[SmallFile], weights_bytes: u64) -> io::Result<u64> {
        match self {
            Self::Folder => Ok(weights_bytes + files.iter().map(|file| file.bytes.len() as u64).sum::<u64>()),
            Self::Archive(Archive::TarXz | Archive::DeltaXz(_)) => {
                let tar = Self::Archive(Archive::Tar);
                let growth = tar.padded(weights_bytes) / XZ_GROWTH + XZ_GROWTH_BYTES;
                Ok(tar.bytes(files, weights_bytes)? + growth)
            }
            Self::Archive(archive) => {
                let zeros = io::repeat(0).take(weights_bytes);
                Ok(archive.write(Counter::default(), files, zeros, weights_bytes)?.end)
            }
        }
    }

    /// The same with compressed weights, where it is an archive that can have such: `distance` is that of
    /// [`Archive::DeltaXz`].
    pub(super) fn compressed(self, distance: u32) -> Self {
        match self {
            Self::Archive(Archive::Zip) => Self::Archive(Archive::DeflatedZip),
            Self::Archive(Archive::TarXz) => Self::Archive(Archive::DeltaXz(distance)),
            other => other,
        }
    }

    /// Bytes that weights of this length take up, padding included. What else there is has the same length for all
    /// lengths of weights, but for the step to zip64.
    pub(super) fn padded(self, weights_bytes: u64) -> u64 {
        match self {
            Self::Archive(Archive::Tar) => weights_bytes.next_multiple_of(TAR_BLOCK),
            Self::Archive(Archive::TarXz | Archive::DeltaXz(_)) => {
                let tar = weights_bytes.next_multiple_of(TAR_BLOCK);
                tar + tar / XZ_GROWTH
            }
            Self::Archive(Archive::Zip | Archive::DeflatedZip) | Self::Folder => weights_bytes,
        }
    }
}

/// Whether what is compressed is a tar, by its name.
fn is_tar(stem: Option<&OsStr>) -> bool {
    stem.and_then(|stem| Path::new(stem).extension()).is_some_and(|end| end.eq_ignore_ascii_case("tar"))
}

impl Archive {
    /// Writes the archive, the same bytes on every machine and day: the small files, sorted by name, then the weights
    /// as they are.
    pub(super) fn write<W: Write + Seek>(
        self,
        sink: W,
        files: &[SmallFile],
        weights: impl Read,
        weights_bytes: u64,
    ) -> io::Result<W> {
        let weights = io::BufReader::with_capacity(1 << 20, weights);
        match self {
            Self::Zip => write_zip(sink, files, weights, (weights_bytes, CompressionMethod::Stored)),
            Self::DeflatedZip => {
                write_zip(sink, files, weights, (weights_bytes, CompressionMethod::Deflated))
            }
            Self::Tar => write_tar(sink, files, weights, weights_bytes),
            Self::TarXz => {
                let xz = XzWriter::new(sink, XzOptions::with_preset(XZ_PRESET))?;
                write_tar(xz, files, weights, weights_bytes)?.finish()
            }
            Self::DeltaXz(distance) => {
                let xz = XzWriter::new(sink, numbers_options(distance))?;
                write_tar(xz, files, weights, weights_bytes)?.finish()
            }
        }
    }
}

/// How xz compresses numbers that look random but for a few bits: no bit of a byte says much about the next.
fn numbers_options(distance: u32) -> XzOptions {
    let mut options = XzOptions::with_preset(XZ_PRESET);
    (options.lzma_options.lc, options.lzma_options.lp, options.lzma_options.pb) = (0, 0, 0);
    if distance > 0 {
        options.prepend_pre_filter(FilterType::Delta, distance);
    }
    options
}

/// Writes a ustar: every member with mode 644, of user 0 and time 0. A size of 8 GiB or more, too long for octal
/// digits, is written in binary, as GNU's tar does.
fn write_tar<W: Write>(
    sink: W,
    files: &[SmallFile],
    weights: impl Read,
    weights_bytes: u64,
) -> io::Result<W> {
    let mut archive = tar::Builder::new(sink);
    let header = |bytes: u64| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes);
        header
    };
    for file in files {
        archive.append_data(&mut header(file.bytes.len() as u64), &file.name, &file.bytes[..])?;
    }
    archive.append_data(&mut header(weights_bytes), WEIGHTS, weights)?;
    archive.into_inner()
}

/// Writes a zip, small files deflated.
///
/// The weights come last: so the archive's own records do not depend on their length, but for the
/// step to zip64.
fn write_zip<W: Write + Seek>(
    sink: W,
    files: &[SmallFile],
    mut weights: impl Read,
    (weights_bytes, method): (u64, CompressionMethod),
) -> io::Result<W> {
    let mut archive = ZipWriter::new(sink);
    let options = SimpleFileOptions::default()
        .last_modified_time(DateTime::DEFAULT)
        .system(System::Unix)
        .unix_permissions(0o644);
    let small =
        options.compression_method(CompressionMethod::Deflated).compression_level(Some(DEFLATE_LEVEL));
    for file in files {
        archive.start_file(file.name.as_str(), small)?;
        archive.write_all(&file.bytes)?;
    }
    let large = options.compression_method(method).large_file(weights_bytes >= ZIP64_BYTES);
    let large = match method {
        CompressionMethod::Stored => large.with_alignment(WEIGHTS_ALIGNMENT),
        _ => large.compression_level(Some(DEFLATE_LEVEL)),
    };
    archive.start_file(WEIGHTS, large)?;
    io::copy(&mut weights, &mut archive)?;
    Ok(archive.finish()?)
}

/// Counts what is written to it.
#[derive(Debug, Default)]
struct Counter {
    position: u64,
    end: u64,
}

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.position += bytes.len() as u64;
        self.end = self.end.max(self.position);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Counter {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
