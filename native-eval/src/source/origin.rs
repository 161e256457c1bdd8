//! Which files an artifact was opened from, and whether they are still the same.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bitgauge_core::{Error, ErrorKind, Result};

use crate::input::io_error;

/// The files of an artifact on disk, as they were when it was opened.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The folder or the file.
    path: PathBuf,
    files: Vec<(PathBuf, Stamp)>,
}

/// What changes when a file is written to or another takes its place. Times are the file system's.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    /// Device, inode, and when either the content or the rights changed last, in seconds and nanoseconds.
    #[cfg(unix)]
    inode: [i128; 4],
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt;
                [
                    metadata.dev().into(),
                    metadata.ino().into(),
                    metadata.ctime().into(),
                    metadata.ctime_nsec().into(),
                ]
            },
        }
    }
}

impl Origin {
    /// Notes how the files of the artifact at `path` are now.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn new(path: &Path, files: &[PathBuf]) -> Result<Self> {
        let stamp = |file: &PathBuf| {
            let metadata = fs::metadata(file).map_err(|error| io_error(&error).within(file.display()))?;
            Ok((file.clone(), Stamp::of(&metadata)))
        };
        Ok(Self { path: path.to_owned(), files: files.iter().map(stamp).collect::<Result<_>>()? })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How long each file is and when it was written to, for people and for comparing.
    pub(super) fn times(&self) -> Vec<String> {
        let time =
            |stamp: &Stamp| stamp.modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        self.files.iter().map(|(_, stamp)| format!("{} bytes, {:?}", stamp.bytes, time(stamp))).collect()
    }

    /// Fails where a file is not the one that was opened, or was written to.
    pub(super) fn expect_unchanged(&self) -> Result<()> {
        for (file, stamp) in &self.files {
            let found = match fs::metadata(file).map(|metadata| Stamp::of(&metadata)) {
                Ok(now) if now == *stamp => continue,
                Ok(now) if now.bytes != stamp.bytes => format!("{} bytes, now {}", stamp.bytes, now.bytes),
                Ok(_) => "it was written to, renamed or replaced".into(),
                Err(error) => error.to_string(),
            };
            return Err(Error::new(ErrorKind::Io, "the artifact changed while it was read")
                .within(file.display())
                .expected_found("the same file from the beginning to the end", found)
                .hint("run again when no other program writes to it"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_changing_a_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.zip");
        type Change = fn(&Path);
        let changes: [(&str, Change); 5] = [
            ("it was written to", |file| {
                // Even where the old times are put back.
                let modified = fs::metadata(file).unwrap().modified().unwrap();
                fs::write(file, "other").unwrap();
                fs::File::options().write(true).open(file).unwrap().set_modified(modified).unwrap();
            }),
            ("5 bytes, now 4", |file| fs::write(file, "four").unwrap()),
            ("5 bytes, now 6", |file| fs::write(file, "longer").unwrap()),
            ("replaced", |file| {
                fs::write(file.with_extension("new"), "bytes").unwrap();
                fs::rename(file.with_extension("new"), file).unwrap();
            }),
            ("No such file", |file| fs::remove_file(file).unwrap()),
        ];
        for (what, change) in changes {
            fs::write(&file, "bytes").unwrap();
            let origin = Origin::new(folder.path(), std::slice::from_ref(&file)).unwrap();
            fs::read(&file).unwrap();
            origin.expect_unchanged().unwrap();
            // The clock of a file system may tick only every few milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change(&file);
            let error = origin.expect_unchanged().unwrap_err();
            assert!(error.found.contains(what), "{what}: {error}");
        }
    }
}
