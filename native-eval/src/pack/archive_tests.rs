//! Archives of more bytes than their plain records can count, written into files with holes and read back.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};

use bitgauge_core::Result;
use bitgauge_core::container::ContainerKind;

use super::archive::{Archive, Form};
use super::files::SmallFile;
use crate::source::Source;

/// The last bytes of the only tensor; all others are 0.
const END: &[u8] = b"the end";

/// A file that leaves holes where zeros are written.
struct Holes(File);

impl Write for Holes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().all(|&byte| byte == 0) {
            self.0.seek_relative(bytes.len() as i64)?;
            return Ok(bytes.len());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for Holes {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

fn files() -> Vec<SmallFile> {
    vec![SmallFile { name: "config.json".into(), bytes: b"{}".repeat(500) }]
}

/// Writes an archive with one tensor of this many bytes; returns the bytes of its weights and what it is read as.
fn written(archive: Archive, path: &std::path::Path, tensor_bytes: u64) -> (u64, Result<Source>) {
    let entry = format!(
        "{{\"w\":{{\"dtype\":\"U8\",\"shape\":[{tensor_bytes}],\"data_offsets\":[0,{tensor_bytes}]}}}}"
    );
    let header = [&(entry.len() as u64).to_le_bytes(), entry.as_bytes()].concat();
    let weights_bytes = header.len() as u64 + tensor_bytes;
    let weights = header.chain(io::repeat(0).take(tensor_bytes - END.len() as u64)).chain(END);
    let sink = Holes(File::create(path).unwrap());
    let mut sink = archive.write(sink, &files(), weights, weights_bytes).unwrap();
    // A tar ends with zeros.
    let end = sink.stream_position().unwrap().max(sink.0.metadata().unwrap().len());
    sink.0.set_len(end).unwrap();
    assert_eq!(end, Form::Archive(archive).bytes(&files(), weights_bytes).unwrap());
    (weights_bytes, Source::open(path))
}

fn check(source: Result<Source>, kind: ContainerKind, weights_bytes: u64) {
    let mut source = source.unwrap();
    let artifact = source.artifact().clone();
    assert_eq!((artifact.kind, artifact.members.len()), (kind, 2));
    assert_eq!(artifact.members[1].bytes, weights_bytes);
    let tensor = &artifact.tensors[0];
    let end = tensor.bytes - END.len() as u64;
    assert_eq!(source.read_tensor_range(tensor, end, END.len() as u64).unwrap(), END);
    assert_eq!(source.read_member(0, u64::MAX).unwrap(), files()[0].bytes);
}

#[test]
fn a_zip_of_more_than_four_gigabytes_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.zip");
    for (tensor_bytes, zip64) in [(1 << 20, false), ((1 << 32) + 5, true)] {
        let (weights_bytes, source) = written(Archive::Zip, &path, tensor_bytes);
        check(source, ContainerKind::Zip, weights_bytes);
        let mut zip = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
        let mut member = zip.by_name("model.safetensors").unwrap();
        assert_eq!((member.size(), member.compressed_size()), (weights_bytes, weights_bytes));
        // To the end: the reader compares the checksum there.
        assert_eq!(io::copy(&mut member, &mut io::sink()).unwrap(), weights_bytes);
        let mut last = [0; 512];
        let mut file = File::open(&path).unwrap();
        file.seek(SeekFrom::End(-512)).unwrap();
        file.read_exact(&mut last).unwrap();
        // The central directory's sizes are all ones where 64-bit ones follow.
        let central = last.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
        assert_eq!(last[central + 20..central + 28] == [0xff; 8], zip64);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_tar_of_more_than_eight_gigabytes_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.tar");
    for (tensor_bytes, binary) in [(1 << 20, false), ((1 << 33) + 5, true)] {
        let (weights_bytes, source) = written(Archive::Tar, &path, tensor_bytes);
        check(source, ContainerKind::Tar, weights_bytes);
        let mut tar = tar::Archive::new(File::open(&path).unwrap());
        let members = tar.entries_with_seek().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), entry.size(), entry.header().as_bytes()[124])
        });
        let members: Vec<_> = members.collect();
        assert_eq!(members[0], ("config.json".into(), 1000, b'0'));
        assert_eq!(members[1], ("model.safetensors".into(), weights_bytes, if binary { 0x80 } else { b'0' }));
        fs::remove_file(&path).unwrap();
    }
}

/// What an archive adds to the weights is the same for all lengths, but for padding and the step to zip64.
#[test]
fn the_size_of_an_archive_is_known() {
    for archive in [Archive::Zip, Archive::Tar] {
        let form = Form::Archive(archive);
        let around = |bytes: u64| form.bytes(&files(), bytes).unwrap() - form.padded(bytes);
        let small = around(1 << 20);
        assert!((0..1100).step_by(37).all(|more| around((3 << 20) + more) == small), "{archive:?}");
        let large = around(u64::from(u32::MAX) + 5);
        let steps = archive == Archive::Zip;
        assert!(if steps { large > small && large < small + 200 } else { large == small }, "{small} {large}");
    }
    // Of a compressed one the most that it can have is known: here of bytes that nothing compresses.
    let mut random = fastrand::Rng::with_seed(1);
    for bytes in [0, 1, 70_000, 1 << 20] {
        let weights: Vec<u8> = (0..bytes).map(|_| random.u8(..)).collect();
        let xz =
            Archive::TarXz.write(io::Cursor::new(Vec::new()), &files(), &weights[..], bytes as u64).unwrap();
        let form = Form::Archive(Archive::TarXz);
        assert!(xz.into_inner().len() as u64 <= form.bytes(&files(), bytes as u64).unwrap(), "{bytes}");
    }
    let tar = Form::Archive(Archive::Tar);
    assert_eq!([0, 1, 512, 513].map(|bytes| tar.padded(bytes)), [0, 512, 512, 1024]);
}
