//! Zips and tars, plain and compressed.

use std::io::Write;

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::{fixtures, models};
use crate::write::{append, bzip2, gzip, tar, xz, zip};

/// Short files that make a model of an unknown kind.
const OTHER: [(&str, &[u8]); 2] =
    [("config.json", br#"{"model_type":"other"}"#), ("sub/a.txt", b"aaaaaaaaaaaaaaaa")];

/// Zips of every kind of member, and those of the validator's runs.
pub fn zips() -> Vec<Vec<u8>> {
    let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let [config, weights] = models::files(true);
    let model = [(config.0, &config.1[..]), (weights.0, &weights.1[..])];
    let mut zips = vec![
        zip(&OTHER, plain),
        zip(&OTHER, deflated),
        zip(&OTHER, plain.large_file(true).unix_permissions(0o644)),
        zip(&model, deflated),
        with_descriptors(),
    ];
    zips.extend(fixtures("validator/direct_run/archives", &[".zip"]));
    zips
}

/// A zip whose lengths stand behind the data, as a writer into a pipe leaves them.
fn with_descriptors() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new_stream(Vec::new());
    for (name, bytes) in OTHER {
        writer.start_file(name, SimpleFileOptions::default()).expect("a member");
        writer.write_all(bytes).expect("a member");
    }
    writer.finish().expect("a zip").into_inner()
}

/// Tars with plain, long and pax names, and with folders.
pub fn tars() -> Vec<Vec<u8>> {
    let [config, weights] = models::files(false);
    let long = "long/".repeat(30) + "config.json";
    let mut pax = tar::Builder::new(Vec::new());
    pax.append_pax_extensions([("path", b"config.json".as_slice()), ("comment", b"none")]).expect("records");
    append(&mut pax, "other", OTHER[0].1);
    vec![
        tar(&OTHER),
        tar(&[(config.0, &config.1), (weights.0, &weights.1)]),
        tar(&[(&long, OTHER[0].1)]),
        pax.into_inner().expect("a tar"),
        folders(),
    ]
}

/// As `tar -C folder .` writes it.
fn folders() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    builder.append_data(&mut header, "./", &[][..]).expect("a folder");
    append(&mut builder, "./config.json", OTHER[0].1);
    builder.into_inner().expect("a tar")
}

/// Compressed tars, compressed texts, and several streams in one file.
pub fn compressed() -> Vec<Vec<u8>> {
    let contents = [tar(&OTHER), b"no tar".to_vec(), Vec::new()];
    let mut files: Vec<Vec<u8>> =
        contents.iter().flat_map(|bytes| [gzip(bytes), bzip2(bytes, 1), xz(bytes)]).collect();
    files.push([gzip(b"a"), gzip(b"b"), vec![0; 7]].concat());
    files.push([bzip2(b"a", 1), bzip2(b"b", 1)].concat());
    files.push([xz(b"a"), vec![0; 4], xz(b"b")].concat());
    let named = flate2::GzBuilder::new().filename("a").comment("b").extra("c");
    let mut writer = named.write(Vec::new(), flate2::Compression::none());
    writer.write_all(b"stored").expect("a gzip file");
    files.push(writer.finish().expect("a gzip file"));
    files
}

/// Stored, fixed and dynamic blocks, long matches, bytes behind the end.
pub fn deflated() -> Vec<Vec<u8>> {
    let text: Vec<u8> = (0..400_u32).flat_map(|i| (i * i % 251).to_le_bytes()).collect();
    let contents = [Vec::new(), b"hello hello hello".to_vec(), vec![7; 40_000], text];
    let levels = [flate2::Compression::none(), flate2::Compression::fast(), flate2::Compression::best()];
    let deflate = |bytes: &Vec<u8>, level| {
        let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), level);
        writer.write_all(bytes).expect("a stream");
        writer.finish().expect("a stream")
    };
    let mut streams: Vec<Vec<u8>> =
        contents.iter().flat_map(|bytes| levels.map(|level| deflate(bytes, level))).collect();
    streams.retain(|stream| stream.len() < 2_500);
    streams.push([&streams[1][..], b"behind"].concat());
    streams
}
