//! Members and tars compressed in ways that Python's `zipfile` and `tarfile` read beside deflate.

use std::io::Write;

use bitgauge_core::container::{Compression, Root};
use bitgauge_core::{ErrorKind, Result};
use native_eval::Source;
use properties::write::{self, bzip2, safetensors};

use crate::model::open;

const BZIP2: u16 = 12;
const LZMA: u16 = 14;

/// A member of a zip: its name, its method, and its bytes as they are and as they are stored.
type Entry = (&'static str, u16, Vec<u8>, Vec<u8>);

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, method, plain, stored) in entries {
        let mut common = [&[20, 0, 0, 0][..], &method.to_le_bytes(), &[0; 4]].concat();
        let figures = [crc(plain), stored.len() as u32, plain.len() as u32, name.len() as u32];
        figures.iter().for_each(|figure| common.extend(figure.to_le_bytes()));
        directory.extend([&b"PK\x01\x02\x14\0"[..], &common, &[0; 10]].concat());
        directory.extend([&(out.len() as u32).to_le_bytes()[..], name.as_bytes()].concat());
        out.extend([&b"PK\x03\x04"[..], &common, name.as_bytes(), stored].concat());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let figures = [directory.len() as u32, out.len() as u32].map(u32::to_le_bytes).concat();
    [&out, &directory, &b"PK\x05\x06\0\0\0\0"[..], &count, &count, &figures, &[0, 0]].concat()
}

fn lzma(plain: &[u8], is_marked: bool) -> Vec<u8> {
    let options = lzma_rust2::LzmaOptions::with_preset(1);
    let header = [&[9, 4, 5, 0, options.get_props()][..], &options.dict_size.to_le_bytes()].concat();
    let mut writer = lzma_rust2::LzmaWriter::new_no_header(header, &options, is_marked).expect("room");
    writer.write_all(plain).expect("room");
    writer.finish().expect("room")
}

/// Weights that neither compress to nothing nor come in one piece.
fn weights() -> Vec<u8> {
    let data: Vec<u8> = (0..200_000_u32).map(|i| ((i * i) >> 7) as u8 & 0x3f).collect();
    safetensors(r#"{"t":{"dtype":"U8","shape":[200000],"data_offsets":[0,200000]}}"#, &data)
}

fn files(method: u16, pack: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Entry> {
    let files = [("config.json", b"{}".to_vec()), ("empty", Vec::new()), ("model.safetensors", weights())];
    files.map(|(name, plain)| (name, method, plain.clone(), pack(&plain))).into()
}

#[test]
fn members_are_read_whatever_their_method() -> Result<()> {
    for (entries, compression) in [
        (files(BZIP2, |plain| bzip2(plain, 9)), Compression::Bzip2),
        (files(LZMA, |plain| lzma(plain, true)), Compression::Lzma),
        (files(0, <[u8]>::to_vec), Compression::Stored),
    ] {
        let mut source = Source::from_bytes("m.zip", zip(&entries))?;
        for (index, (name, _, plain, _)) in entries.iter().enumerate() {
            let member = &source.artifact().members[index];
            assert_eq!((member.name.as_str(), member.compression), (*name, compression));
            assert!(source.read_member(index, 1 << 20)? == *plain, "{name} by {compression:?}");
        }
        let tensor = source.artifact().tensors[0].clone();
        assert!(weights().ends_with(&source.read_tensor(&tensor)?), "{compression:?}");
    }
    Ok(())
}

#[test]
fn a_stream_ends_where_its_member_does() {
    let kind = |method, plain: &[u8], stored: Vec<u8>| {
        let zip = zip(&[("config.json", method, plain.to_vec(), stored)]);
        let read = Source::from_bytes("m.zip", zip).and_then(|mut source| source.read_member(0, 1 << 20));
        read.map_err(|error| error.kind)
    };
    let text = b"{\"some\": \"text\"}".as_slice();
    for (method, stored) in [(BZIP2, bzip2(text, 9)), (LZMA, lzma(text, true))] {
        assert_eq!(kind(method, text, stored.clone()).as_deref(), Ok(text));
        assert_eq!(kind(method, &text[1..], stored.clone()), Err(ErrorKind::TooLarge));
        assert_eq!(kind(method, &[text, b"!"].concat(), stored.clone()), Err(ErrorKind::Truncated));
        let cut = stored[..stored.len() - 1].to_vec();
        assert!(matches!(kind(method, text, cut), Err(ErrorKind::Truncated | ErrorKind::Malformed)));
        // A decoder of LZMA looks a few bytes ahead.
        assert_eq!(kind(method, text, [&stored[..], &[7; 100]].concat()), Err(ErrorKind::BadLayout));
        assert_eq!(kind(method, text, [stored.clone(), stored].concat()), Err(ErrorKind::BadLayout));
        assert!(kind(method, text, text.to_vec()).is_err());
    }
    // Where LZMA does not mark its end, nothing says that the stream is whole.
    assert_eq!(kind(LZMA, text, lzma(text, false)), Err(ErrorKind::Truncated));
    // Properties that liblzma refuses, a length of them that it does not know, a dictionary of 4 GB.
    for (at, byte) in [(4, 225), (4, 13), (2, 6), (8, 0xff)] {
        let mut stored = lzma(text, true);
        stored[at] = byte;
        assert_eq!(kind(LZMA, text, stored), Err(ErrorKind::Malformed), "byte {at}");
    }
}

fn tar() -> Vec<u8> {
    write::tar(&[("config.json", b"{}"), ("model.safetensors", &weights())])
}

fn alone(plain: &[u8], length: Option<u64>) -> Vec<u8> {
    let options = lzma_rust2::LzmaOptions::with_preset(1);
    let mut writer = lzma_rust2::LzmaWriter::new_use_header(Vec::new(), &options, length).expect("room");
    writer.write_all(plain).expect("room");
    writer.finish().expect("room")
}

#[test]
fn a_tar_in_the_format_before_xz_is_read() -> Result<()> {
    let whole = alone(&tar(), None);
    let mut source = Source::from_bytes("m.tar.lzma", whole.clone())?;
    assert!(source.read_member(1, 1 << 20)? == weights());
    let opened =
        |bytes: Vec<u8>| open(&[("m.tar.lzma".to_owned(), bytes)], Root::File).map_err(|error| error.kind);
    assert_eq!(opened([&whole[..], &[7; 100]].concat()).err(), Some(ErrorKind::BadLayout));
    let unmarked = tar()[..tar().len() - 1_024].to_vec();
    assert_eq!(opened(alone(&unmarked, None)).err(), Some(ErrorKind::BadLayout));
    assert_eq!(opened(whole[..whole.len() - 1].to_vec()).err(), Some(ErrorKind::Truncated));
    let mut damaged = whole;
    damaged[200] ^= 1;
    assert!(opened(damaged).is_err());
    // A length in the header would have to be checked against the stream's end, which the decoder does not.
    assert_eq!(opened(alone(&tar(), Some(tar().len() as u64))).err(), Some(ErrorKind::Unsupported));
    Ok(())
}

fn xz(plain: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("room");
    writer.write_all(plain).expect("room");
    writer.finish().expect("room")
}

#[test]
fn nothing_but_zeros_follows_the_padding_of_xz() {
    let tar = tar();
    let (first, second) = (xz(&tar[..5_120]), xz(&tar[5_120..]));
    let opened = |parts: &[&[u8]]| {
        let opened = open(&[("m.tar.xz".to_owned(), parts.concat())], Root::File);
        opened.map(|artifact| artifact.members.len()).map_err(|error| error.kind)
    };
    assert_eq!(opened(&[&first, &second]), Ok(2));
    assert_eq!(opened(&[&first, &second, &[0; 8]]), Ok(2));
    // Python's lzma takes the padding for the end.
    assert_eq!(opened(&[&first, &[0; 4], &second]), Err(ErrorKind::BadLayout));
    assert_eq!(opened(&[&first, &second, &[0; 4], &second]), Err(ErrorKind::BadLayout));
    assert_eq!(opened(&[&first, &second, &[b'x'; 40]]), Err(ErrorKind::Malformed));
    // Where the tar has no mark of its end, Python reads on, takes zeros for .lzma and misses the end of that.
    let unmarked = xz(&tar[..tar.len() - 1_024]);
    assert_eq!(opened(&[&unmarked]), Ok(2));
    assert_eq!(opened(&[&unmarked, &[0; 4]]), Err(ErrorKind::BadLayout));
}

#[test]
fn a_tar_that_begins_like_a_compressed_file_is_refused() {
    let named = |name: &[u8]| {
        let mut tar = tar();
        tar[..100].fill(0);
        tar[..name.len()].copy_from_slice(name);
        let sum: u32 =
            tar[..148].iter().chain(&tar[156..512]).map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
        tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        open(&[("m.tar".to_owned(), tar)], Root::File).map(drop).map_err(|error| error.what.clone())
    };
    for name in [&b"m"[..], b"]", b"]a", b"BZ", b"[v1]"] {
        assert_eq!(named(name), Ok(()), "{name:?}");
    }
    for name in [&b"BZh9"[..], b"LZIP", b"]\0\0\x80\0", b"]\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"] {
        assert_eq!(named(name), Err("the tar may be taken for a compressed one".to_owned()), "{name:?}");
    }
}
