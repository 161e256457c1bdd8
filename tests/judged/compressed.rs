//! Compressed tars: what unpacks to too much, where damage is, and headers around what is read ahead.

use bitgauge_core::container::{Artifact, Compressor, Root, TarStream, Unpacker, Window};
use bitgauge_core::{Error, ErrorKind, Result, limits};
use properties::write::{bzip2, gzip, safetensors, tar};

use crate::model::open;

const READ_AHEAD: usize = 64 << 10;

/// Unpacks a file in pieces of this size; how many bytes came out, and how it ended.
fn unpack(compressor: Compressor, file: &[u8], piece: usize) -> (u64, Result<()>) {
    let mut unpacker = Unpacker::new(compressor).expect("every one is read here");
    let mut written = 0;
    let mut push = |bytes: &[u8]| {
        written += bytes.len() as u64;
        Ok(())
    };
    let pushed = file.chunks(piece).try_for_each(|piece| unpacker.push(piece, &mut push));
    let ended = pushed.and_then(|()| unpacker.finish());
    assert!(ended.is_err() || unpacker.written() == written);
    (written, ended)
}

#[test]
fn what_unpacks_to_too_much_is_refused_as_soon_as_it_does() {
    let bomb = bzip2(&vec![0; 70 << 20], 9);
    assert!(bomb.len() < 1_000, "{} bytes", bomb.len());
    let most = bomb.len() as u64 * limits::INFLATE_RATIO + limits::UNPACK_SLACK_BYTES;
    for piece in [10, 1 << 20] {
        let (written, ended) = unpack(Compressor::Bzip2, &bomb, piece);
        let error = ended.expect_err("a bomb");
        assert_eq!(
            (error.kind, error.what.as_str()),
            (ErrorKind::TooLarge, "the archive unpacks to too much")
        );
        assert!(written <= most, "{written} bytes");
    }
    // Less than the slack is no bomb, whatever it takes.
    let small = bzip2(&vec![0; 60 << 20], 9);
    assert_eq!(unpack(Compressor::Bzip2, &small, 10), (60 << 20, Ok(())));
}

#[test]
fn errors_say_how_far_the_file_was_read() {
    let text: Vec<u8> = (0..4_000_u32).flat_map(|i| (i * i).to_le_bytes()).collect();
    for (compressor, file) in [(Compressor::Gzip, gzip(&text)), (Compressor::Bzip2, bzip2(&text, 9))] {
        let len = file.len() as u64;
        for piece in [7, 1 << 20] {
            assert_eq!(unpack(compressor, &file, piece), (text.len() as u64, Ok(())));
            // Twice is once more.
            assert_eq!(unpack(compressor, &file.repeat(2), piece), (2 * text.len() as u64, Ok(())));
            let cut = unpack(compressor, &file[..file.len() - 1], piece).1.expect_err("cut off");
            assert_eq!((cut.kind, cut.offset), (ErrorKind::Truncated, Some(len - 1)), "{cut}");
        }
        // The beginning of another member behind a whole one.
        let another = [&file[..], &file[..5]].concat();
        let cut = unpack(compressor, &another, 1 << 20).1.expect_err("cut off");
        assert_eq!((cut.kind, cut.offset), (ErrorKind::Truncated, Some(len + 5)), "{cut}");
        let empty = unpack(compressor, b"", 1).1.expect_err("nothing");
        assert_eq!((empty.kind, empty.offset), (ErrorKind::Truncated, Some(0)), "{empty}");
    }
}

/// A gzip header with all optional fields, whose extra field has this length.
fn with_fields(extra: usize, file: &[u8]) -> Vec<u8> {
    let mut out = file[..10].to_vec();
    out[3] = 2 | 4 | 8 | 16;
    out.extend((extra as u16).to_le_bytes());
    out.extend(vec![1; extra]);
    out.extend(b"name\0comment\0\x12\x34");
    out.extend_from_slice(&file[10..]);
    out
}

#[test]
fn optional_fields_of_gzip_are_passed_over() {
    let file = gzip(b"text");
    for extra in [0, 1, 255, 256, 300, 65_535] {
        for piece in [1, 1 << 20] {
            assert_eq!(unpack(Compressor::Gzip, &with_fields(extra, &file), piece), (4, Ok(())), "{extra}");
        }
    }
    // Each field alone.
    for (flag, field) in [(2, &b"\0\0"[..]), (4, b"\x03\0abc"), (8, b"n\0"), (16, b"\0"), (1, b"")] {
        let mut out = file.clone();
        out[3] = flag;
        out.splice(10..10, field.iter().copied());
        assert_eq!(unpack(Compressor::Gzip, &out, 1), (4, Ok(())), "flag {flag}");
    }
    for flag in [32, 64, 128] {
        let mut out = file.clone();
        out[3] = flag;
        assert_eq!(unpack(Compressor::Gzip, &out, 1).1.expect_err("unknown").kind, ErrorKind::BadLayout);
    }
    for (at, byte) in [(0, 0x1e), (1, 0x8a), (2, 7)] {
        let mut out = file.clone();
        out[at] = byte;
        assert_eq!(unpack(Compressor::Gzip, &out, 1).1.expect_err("no gzip").kind, ErrorKind::BadLayout);
    }
    // Zeros may follow, and nothing else; and not where nothing precedes them.
    assert_eq!(unpack(Compressor::Gzip, &[&file[..], &[0; 700]].concat(), 1), (4, Ok(())));
    let zeros_and_more = [&file[..], &[0; 7], &file].concat();
    assert_eq!(unpack(Compressor::Gzip, &zeros_and_more, 1), (8, Ok(())));
    assert!(unpack(Compressor::Gzip, &[&[0], &file[..]].concat(), 1).1.is_err());
    assert!(unpack(Compressor::Gzip, &[&file[..], &[0, 1]].concat(), 1).1.is_err());
    // The checksum and the length.
    for at in file.len() - 8..file.len() {
        let mut out = file.clone();
        out[at] ^= 1;
        assert_eq!(
            unpack(Compressor::Gzip, &out, 1).1.expect_err("damaged").kind,
            ErrorKind::Checksum,
            "{at}"
        );
    }
}

fn stream(plain: &[u8], piece: usize) -> Result<Artifact> {
    let mut tar = TarStream::new("m.tar.gz", Compressor::Gzip)?;
    gzip(plain).chunks(piece).try_for_each(|piece| tar.push(piece))?;
    tar.finish()
}

/// A safetensors file whose header, its length included, takes exactly this many bytes, with these data.
fn padded(header_bytes: usize, data: &[u8]) -> Vec<u8> {
    let entry = match data.len() {
        0 => "{}".to_owned(),
        len => format!(r#"{{"t":{{"dtype":"U8","shape":[{len}],"data_offsets":[0,{len}]}}}}"#),
    };
    let header = format!("{entry}{}", " ".repeat(header_bytes - 8 - entry.len()));
    let file = safetensors(&header, data);
    assert_eq!(file.len(), header_bytes + data.len());
    file
}

#[test]
fn headers_around_what_is_read_ahead_are_kept_as_a_whole() {
    for header in [80, READ_AHEAD - 1, READ_AHEAD, READ_AHEAD + 1, 3 * READ_AHEAD] {
        for data in [&b""[..], b"x", &[7; 1_000]] {
            let weights = padded(header, data);
            let plain =
                tar(&[("m/config.json", b"{}"), ("m/model.safetensors", &weights), ("m/z.txt", b"z")]);
            let right = open(&[("m.tar".to_owned(), plain.clone())], Root::File).expect("a sound tar");
            assert_eq!(right.members[1].header.as_ref().map(|header| header.bytes), Some(header as u64));
            for piece in [100, 1 << 20] {
                let found = stream(&plain, piece).unwrap_or_else(|error| panic!("{header}: {error}"));
                assert_eq!((&found.tensors, &found.members), (&right.tensors, &right.members), "{header}");
                assert_eq!(found.size_bytes, gzip(&plain).len() as u64);
            }
        }
    }
    // Files that end in front of their header's end, and one whose length is a lie.
    let cases: [(&[u8], ErrorKind); 4] = [
        (b"\x05\0\0", ErrorKind::Truncated),
        (&padded(90, b"")[..80], ErrorKind::Truncated),
        (&padded(2 * READ_AHEAD, b"")[..READ_AHEAD + 9], ErrorKind::Truncated),
        (&[&[0xff; 8][..], b"{}"].concat(), ErrorKind::TooLarge),
    ];
    for (weights, kind) in cases {
        let plain = tar(&[("config.json", b"{}"), ("model.safetensors", weights)]);
        let of_plain = open(&[("m.tar".to_owned(), plain.clone())], Root::File).expect_err("no header");
        let of_packed = stream(&plain, 1 << 20).expect_err("no header");
        assert_eq!((of_plain.kind, of_packed.kind), (kind, kind), "{of_packed}");
    }
}

#[test]
fn a_long_config_and_index_are_kept() {
    let spaces = |len: usize| format!("{{}}{}", " ".repeat(len - 2)).into_bytes();
    for len in [2, READ_AHEAD, READ_AHEAD + 1, limits::CONFIG_BYTES as usize] {
        let plain = tar(&[("config.json", &spaces(len)), ("model.safetensors", &padded(80, b""))]);
        assert_eq!(stream(&plain, 1 << 20).expect("sound").config.map(|config| config.len()), Some(len));
    }
    let longer = spaces(limits::CONFIG_BYTES as usize + 1);
    let plain = tar(&[("config.json", &longer), ("model.safetensors", &padded(80, b""))]);
    let what = |result: Result<Artifact>| -> Error { result.expect_err("too long") };
    let of_plain = what(open(&[("m.tar".to_owned(), plain.clone())], Root::File));
    assert_eq!(
        (of_plain.kind, what(stream(&plain, 1 << 20)).kind),
        (ErrorKind::TooLarge, ErrorKind::TooLarge)
    );
}

#[test]
fn what_is_no_tar_is_refused() {
    for contents in [&b"no tar"[..], &[b'x'; 600]] {
        let error = stream(contents, 1 << 20).expect_err("no tar");
        assert!(matches!(error.kind, ErrorKind::Unsupported | ErrorKind::Truncated), "{error}");
    }
}

#[test]
fn a_window_knows_its_files() {
    let none = Window::new(Vec::new());
    assert!(none.is_empty() && none.files().is_empty());
    let one = Window::new(vec![("a".to_owned(), 7)]);
    assert!(!one.is_empty());
    assert_eq!((one.name(0), one.len(0)), ("a", 7));
}
