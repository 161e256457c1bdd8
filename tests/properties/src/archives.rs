//! Zips and tars that we accept, the `zip` and `tar` crates accept with the same members.

use std::io::{Cursor, Read};

use bitgauge_core::container::{Artifact, Compression, ContainerKind};

use crate::Outcome;
use crate::artifact::{Files, member_bytes};
use crate::pieces::Cuts;

/// A zip, and what the `zip` crate makes of it.
pub fn check_zip(input: &[u8]) -> Outcome {
    match Files::single("a", input).check(&mut Cuts::of(input)) {
        Some(artifact) if artifact.kind == ContainerKind::Zip => {
            compare_zip(input, &artifact);
            Outcome::Accepted
        }
        _ => Outcome::Refused,
    }
}

fn compare_zip(input: &[u8], artifact: &Artifact) {
    let mut archive = zip::ZipArchive::new(Cursor::new(input)).expect("a zip to the zip crate, too");
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).expect("a member to the zip crate, too");
        if !file.name_raw().ends_with(b"/") {
            files.push((file.header_start(), index));
        }
    }
    files.sort_unstable();
    assert_eq!(files.len(), artifact.members.len());
    for ((_, index), member) in files.into_iter().zip(&artifact.members) {
        {
            let file = archive.by_index_raw(index).expect("a member to the zip crate, too");
            assert_eq!(file.name_raw(), member.name.as_bytes());
            assert_eq!((file.size(), file.compressed_size()), (member.bytes, member.stored_bytes));
            assert_eq!((file.data_start(), Some(file.crc32())), (Some(member.offset), member.crc32));
            assert_eq!(
                file.compression() == zip::CompressionMethod::Stored,
                member.compression == Compression::Stored
            );
        }
        // The zip crate is built without the two others.
        if !matches!(member.compression, Compression::Stored | Compression::Deflated) {
            continue;
        }
        let Ok(ours) = member_bytes(input, member) else { continue };
        let mut crc = flate2::Crc::new();
        crc.update(&ours);
        if member.check_crc32(crc.sum()).is_err() {
            continue;
        }
        let mut theirs = Vec::new();
        let mut file = archive.by_index(index).expect("a member to the zip crate, too");
        file.read_to_end(&mut theirs).expect("readable to the zip crate, too");
        assert!(ours == theirs, "{} has other bytes to the zip crate", member.name);
    }
}

/// A tar, and what the `tar` crate makes of it.
pub fn check_tar(input: &[u8]) -> Outcome {
    match Files::single("a", input).check(&mut Cuts::of(input)) {
        Some(artifact) if artifact.kind == ContainerKind::Tar && artifact.compressed.is_none() => {
            if !has_old_checksums(input) {
                compare_tar(input, &artifact);
            }
            Outcome::Accepted
        }
        _ => Outcome::Refused,
    }
}

fn compare_tar(input: &[u8], artifact: &Artifact) {
    let mut archive = tar::Archive::new(input);
    let mut members = artifact.members.iter();
    for entry in archive.entries().expect("a tar to the tar crate, too") {
        let mut entry = entry.expect("a member to the tar crate, too");
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() || is_old_folder(entry.header()) {
            continue;
        }
        let member = members.next().expect("a member to us, too");
        assert_eq!(plain(&entry.path_bytes()), member.name);
        if kind.is_hard_link() {
            continue;
        }
        assert_eq!((entry.size(), entry.raw_file_position()), (member.bytes, member.offset));
        let mut theirs = Vec::new();
        entry.read_to_end(&mut theirs).expect("readable to the tar crate, too");
        assert!(
            member_bytes(input, member).is_ok_and(|ours| ours == theirs),
            "{} has other bytes",
            member.name
        );
    }
    assert_eq!(members.next(), None, "a member more to us than to the tar crate");
}

/// Whether this was a folder before POSIX: a file whose own name ends like this.
fn is_old_folder(header: &tar::Header) -> bool {
    const KIND: usize = 156;
    let block = header.as_bytes();
    let name = block[..100].split(|byte| *byte == 0).next().unwrap_or_default();
    block[KIND] == 0 && name.ends_with(b"/")
}

/// Whether a header's checksum may be the sum of signed bytes, which old writers made, Python and we take, and the `tar`
/// crate does not. The two sums differ where a byte has its high bit set.
fn has_old_checksums(input: &[u8]) -> bool {
    const BLOCK: usize = 512;
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    input.chunks_exact(BLOCK).any(|block| {
        let signed =
            |(at, byte): (usize, &u8)| if CHECKSUM.contains(&at) { 32 } else { i64::from(*byte as i8) };
        let sum: i64 = block.iter().enumerate().map(signed).sum();
        let field = String::from_utf8_lossy(&block[CHECKSUM]);
        let recorded = i64::from_str_radix(field.trim_matches(['\0', ' ']), 8);
        recorded == Ok(sum) && !block.is_ascii()
    })
}

/// A path without `.` components, as we read it.
fn plain(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}
