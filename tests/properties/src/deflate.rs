//! Deflate streams: what zlib takes, ours takes, and nothing else.

use bitgauge_core::Result;
use bitgauge_core::container::Inflater;
use flate2::{Decompress, FlushDecompress, Status};

use crate::Outcome;
use crate::pieces::Cuts;

/// More bytes than a short stream unpacks to.
const MANY: u64 = 1 << 40;

/// The same bytes as by zlib, at once and in pieces; where zlib refuses, so do we.
pub fn check(input: &[u8]) -> Outcome {
    let mut cuts = Cuts::of(input);
    let Some((theirs, taken)) = zlib(input) else {
        let mut written = 0;
        let _ = inflate(input, MANY, |_| usize::MAX, &mut |bytes| written += bytes.len() as u64);
        let ours = inflate(input, written, |_| usize::MAX, &mut |_| {});
        assert!(ours.is_err(), "zlib refuses what we take");
        return Outcome::Refused;
    };
    let stream = &input[..taken as usize];
    let pieces: [&mut dyn FnMut(usize) -> usize; 2] =
        [&mut |left| left, &mut |left| 1 + cuts.below(left.max(1) as u64) as usize];
    for piece in pieces {
        let mut ours = Vec::new();
        let done = inflate(stream, theirs.len() as u64, piece, &mut |bytes| ours.extend_from_slice(bytes));
        assert_eq!(done, Ok(()), "zlib takes what we refuse");
        assert!(ours == theirs, "zlib gives other bytes");
    }
    if taken < input.len() as u64 {
        assert!(inflate(input, theirs.len() as u64, |left| left, &mut |_| {}).is_err(), "bytes follow");
    }
    Outcome::Accepted
}

/// Inflates a stream that declares to unpack to `bytes`; `piece` says how much of what is left is given at once.
fn inflate(
    stream: &[u8],
    bytes: u64,
    mut piece: impl FnMut(usize) -> usize,
    take: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    let mut inflater = Inflater::new(stream.len() as u64, bytes);
    let mut buffer = [0; 1024];
    let mut rest = stream;
    loop {
        let given = &rest[..piece(rest.len()).min(rest.len())];
        let step = inflater.inflate(given, &mut buffer)?;
        take(&buffer[..step.written]);
        rest = &rest[step.taken..];
        if step.taken == 0 && step.written == 0 {
            return inflater.finish();
        }
    }
}

/// What zlib makes of a stream, and how many bytes it takes; nothing where it is refused or does not end.
fn zlib(stream: &[u8]) -> Option<(Vec<u8>, u64)> {
    let mut decoder = Decompress::new(false);
    let (mut out, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        let before = (decoder.total_in(), decoder.total_out());
        let rest = &stream[before.0 as usize..];
        let status = decoder.decompress(rest, &mut buffer, FlushDecompress::None).ok()?;
        out.extend_from_slice(&buffer[..(decoder.total_out() - before.1) as usize]);
        if status == Status::StreamEnd {
            return Some((out, decoder.total_in()));
        }
        if before == (decoder.total_in(), decoder.total_out()) {
            return None;
        }
    }
}
