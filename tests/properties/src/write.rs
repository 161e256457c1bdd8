//! Writes the archives and safetensors files that tests read: each format once.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;

/// A safetensors file of this header text and these data; the text is not padded.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// Files by name, borrowed.
pub fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    files.iter().map(|(name, bytes)| (&**name, &**bytes)).collect()
}

/// A zip of these files, by name, each stored by these options.
pub fn zip(files: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, options).expect("a member");
        writer.write_all(bytes).expect("a member");
    }
    writer.finish().expect("a zip").into_inner()
}

/// A tar of these files, by name, under GNU headers.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        append(&mut builder, name, bytes);
    }
    builder.into_inner().expect("a tar")
}

/// Appends a file to a tar.
pub fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, bytes).expect("a member");
}

/// A gzip file.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).expect("a gzip file");
    writer.finish().expect("a gzip file")
}

/// A bzip2 file whose blocks hold at most `blocks`, 1 to 9, times 100,000 bytes.
pub fn bzip2(bytes: &[u8], blocks: u32) -> Vec<u8> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(blocks));
    writer.write_all(bytes).expect("a bzip2 file");
    writer.finish().expect("a bzip2 file")
}

/// An xz file with a dictionary of 256 KiB.
pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(0);
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("an xz file");
    writer.write_all(bytes).expect("an xz file");
    writer.finish().expect("an xz file")
}
