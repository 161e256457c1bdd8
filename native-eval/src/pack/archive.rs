//! The forms that the packed model can take on disk, and how many bytes each has.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime, System};

use super::files::SmallFile;

/// The weights of the packed model: always one file.
pub(super) const WEIGHTS: &str = "model.safetensors";
/// The weights start at a multiple of this in a zip, so that tensors can be mapped into memory.
const WEIGHTS_ALIGNMENT: u16 = 64;
/// From this length on a zip member needs 64-bit sizes.
const ZIP64_BYTES: u64 = u32::MAX as u64;
/// Level of deflate for the small files: the smallest result.
const DEFLATE_LEVEL: i64 = 9;

/// Folder or archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Folder,
    Zip,
}

impl Form {
    /// The form that a target's name asks for.
    pub(super) fn of(out: &Path) -> Self {
        let zip = out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"));
        if zip { Self::Zip } else { Self::Folder }
    }

    /// Exact bytes of the artifact with weights of this length.
    ///
    /// A zip is written as it will be, with zeros for weights, to a sink that only counts: nothing
    /// here has to know how the archive's records look. Four gigabytes take about a second.
    pub(super) fn bytes(self, files: &[SmallFile], weights_bytes: u64) -> io::Result<u64> {
        match self {
            Self::Folder => Ok(weights_bytes + files.iter().map(|file| file.bytes.len() as u64).sum::<u64>()),
            Self::Zip => {
                let zeros = io::repeat(0).take(weights_bytes);
                Ok(write_zip(Counter::default(), files, zeros, weights_bytes)?.end)
            }
        }
    }
}

/// Writes a zip that is the same on every machine and day: the small files deflated, sorted by name,
/// then the weights as they are.
///
/// The weights come last: so the archive's own records do not depend on their length, but for the
/// step to zip64.
pub(super) fn write_zip<W: Write + Seek>(
    sink: W,
    files: &[SmallFile],
    weights: impl Read,
    weights_bytes: u64,
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
    let large = options
        .compression_method(CompressionMethod::Stored)
        .with_alignment(WEIGHTS_ALIGNMENT)
        .large_file(weights_bytes >= ZIP64_BYTES);
    archive.start_file(WEIGHTS, large)?;
    io::copy(&mut io::BufReader::with_capacity(1 << 20, weights), &mut archive)?;
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
