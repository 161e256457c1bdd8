//! The decoder against zlib: on what writers write, and on what nobody should.

use std::io::Write;

use flate2::{Compression, Decompress, FlushDecompress, Status};

use super::*;

fn deflated(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a decoder makes of a stream: its output, and how many bytes the stream takes; nothing where it is refused or
/// does not end.
type Decoded = Option<(Vec<u8>, u64)>;

fn ours(stream: &[u8], input_piece: usize, output_piece: usize) -> Decoded {
    let mut decoder = Deflate::new();
    let (mut out, mut buffer, mut at) = (Vec::new(), vec![0; output_piece], 0);
    loop {
        let input = &stream[at..stream.len().min(at + input_piece)];
        let moved = decoder.decode(input, &mut buffer).ok()?;
        at += moved.taken;
        out.extend_from_slice(&buffer[..moved.written]);
        if decoder.has_ended() {
            assert_eq!((decoder.total_in(), decoder.total_out()), (at as u64, out.len() as u64));
            return Some((out, decoder.total_in()));
        }
        if moved == (Progress { taken: 0, written: 0 }) {
            return None;
        }
    }
}

fn zlib(stream: &[u8]) -> Decoded {
    let mut decoder = Decompress::new(false);
    let (mut out, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let before = (decoder.total_in(), decoder.total_out());
        let input = &stream[before.0 as usize..];
        let status = decoder.decompress(input, &mut buffer, FlushDecompress::None).ok()?;
        out.extend_from_slice(&buffer[..(decoder.total_out() - before.1) as usize]);
        if status == Status::StreamEnd {
            return Some((out, decoder.total_in()));
        }
        if before == (decoder.total_in(), decoder.total_out()) {
            return None;
        }
    }
}

/// Texts of several kinds: repeats near and far, noise, few symbols, nothing.
fn texts() -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(3);
    let noise: Vec<u8> = (0..70_000).map(|_| random.u8(..)).collect();
    let words: Vec<u8> =
        (0..60_000).flat_map(|_| [b'a' + (random.usize(..7) * random.usize(..4)) as u8, b' ']).collect();
    let far = [&noise[..32_768], &noise[..20_000], &words[..500]].concat();
    vec![noise, words, far, vec![7; 300_000], b"hello hello hello".to_vec(), vec![], vec![1]]
}

#[test]
fn whatever_is_written_is_read_in_pieces_of_any_length() {
    for text in texts() {
        for level in [Compression::none(), Compression::fast(), Compression::default(), Compression::best()] {
            let stream = deflated(&text, level);
            let whole = Some((text.clone(), stream.len() as u64));
            for (input, output) in [(1 << 20, 1 << 20), (1, 4096), (4096, 7), (9, 258), (1 << 20, 32_768)] {
                assert!(ours(&stream, input, output) == whole, "{} bytes, {input} {output}", text.len());
            }
            // What follows is not taken.
            let longer = [&stream[..], b"and more of this"].concat();
            assert!(ours(&longer, 1 << 20, 1000) == whole);
            assert!(ours(&stream[..stream.len() - 1], 1 << 20, 1000).is_none());
        }
    }
}

#[test]
fn damaged_streams_are_what_zlib_says() {
    let mut random = fastrand::Rng::with_seed(5);
    let texts: Vec<Vec<u8>> = texts()
        .into_iter()
        .map(|mut text| {
            text.truncate(600);
            text
        })
        .collect();
    let (mut taken, mut refused) = (0, 0);
    for round in 0..60_000 {
        let level = [Compression::none(), Compression::fast(), Compression::best()][round % 3];
        let mut stream = deflated(&texts[round % texts.len()], level);
        for _ in 0..1 + random.usize(..3) {
            let near = 1 + 4 * random.usize(..40);
            let at = random.usize(..stream.len().min(near));
            stream[at] ^= 1 << random.usize(..8);
        }
        let (got, wanted) = (ours(&stream, 1 << 20, 1 << 16), zlib(&stream));
        assert_eq!(got, wanted, "{stream:02x?}");
        if wanted.is_some() { taken += 1 } else { refused += 1 }
    }
    assert!(taken > 1_000 && refused > 1_000, "{taken} taken, {refused} refused");
}

#[test]
fn noise_is_what_zlib_says() {
    let mut random = fastrand::Rng::with_seed(6);
    for _ in 0..200_000 {
        let len = 1 + random.usize(..90);
        let mut stream: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
        // Mostly a last block that brings its codes.
        stream[0] = if random.usize(..4) > 0 { stream[0] & !7 | 5 } else { stream[0] };
        assert_eq!(ours(&stream, 1 << 20, 1 << 16), zlib(&stream), "{stream:02x?}");
    }
}

#[test]
fn each_rule_of_zlib_is_kept() {
    /// Bits in the order in which they are read; codes have their first bit first already.
    fn stream(fields: &[(u32, u32)]) -> Vec<u8> {
        let mut bytes = vec![0_u8; 64];
        let mut at = 0;
        for &(value, bits) in fields {
            for bit in 0..bits {
                bytes[at / 8] |= ((value >> bit & 1) as u8) << (at % 8);
                at += 1;
            }
        }
        bytes
    }
    let fault = |fields: &[(u32, u32)]| {
        let stream = stream(fields);
        assert_eq!(zlib(&stream), None);
        Deflate::new().decode(&stream, &mut [0; 100]).err()
    };
    assert_eq!(fault(&[(7, 3)]), Some("invalid block type"));
    assert_eq!(fault(&[(1, 8), (5, 16), (5, 16)]), Some("invalid stored block lengths"));
    assert_eq!(fault(&[(5, 3), (30, 5), (0, 5)]), Some("too many length or distance symbols"));
    assert_eq!(fault(&[(5, 3), (0, 5), (30, 5)]), Some("too many length or distance symbols"));
    // A literal, then a match of three bytes two back: one byte too far.
    let literal = (0b0000_1100, 8);
    let match_two_back = [(0b100_0000, 7), (0b1_0000, 5)];
    let far = [&[(3, 3), literal][..], &match_two_back].concat();
    assert_eq!(fault(&far), Some("invalid distance too far back"));
    let near = [&[(3, 3), literal, literal][..], &match_two_back, &[(0, 7)]].concat();
    assert_eq!(ours(&stream(&near), 99, 99).map(|(out, _)| out.len()), Some(5));
    // Symbol 286 of the fixed code, and distance 30.
    assert_eq!(fault(&[(3, 3), (0b0110_0011, 8)]), Some("invalid literal/length code"));
    assert_eq!(fault(&[(3, 3), literal, (0b100_0000, 7), (0b0_1111, 5)]), Some("invalid distance code"));
    // Codes for code lengths: none; one of one bit; three of one bit.
    let counts = |lengths: &[u32]| {
        let mut fields = vec![(5, 3), (0, 5), (0, 5), (15, 4)];
        fields.extend(lengths.iter().map(|length| (*length, 3)));
        fault(&fields)
    };
    assert!(counts(&[]).is_some());
    assert_eq!(counts(&[0, 0, 0, 1]), Some("incomplete code lengths"));
    assert_eq!(counts(&[1, 1, 1]), Some("over-subscribed code lengths"));
    // A repeat of nothing; no end of block.
    assert_eq!(counts(&[1, 1, 0]), Some("invalid bit length repeat"));
}
