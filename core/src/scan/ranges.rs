//! SHA-256 of ranges of a stream of bytes.

use super::{Digest, Sha256, hex};

/// Hashes ranges of bytes that pass by in order.
pub struct RangeHashes {
    /// In the order they begin.
    ranges: Vec<Range>,
    /// How many of them, from the first on, have passed by.
    passed: usize,
    position: u64,
}

struct Range {
    start: u64,
    end: u64,
    /// Where among the results its hash stands.
    index: usize,
    hash: Sha256,
}

impl RangeHashes {
    /// For ranges from a first byte to that behind the last.
    pub fn new(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let ranges = ranges.into_iter().enumerate();
        let mut ranges: Vec<Range> =
            ranges.map(|(index, (start, end))| Range { start, end, index, hash: Sha256::new() }).collect();
        crate::order::sort_by_key(&mut ranges, |range| range.start);
        Self { ranges, passed: 0, position: 0 }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let len = bytes.len() as u64;
        let here = |offset: u64| offset.saturating_sub(self.position).min(len) as usize;
        let behind = self.position + len;
        for range in self.ranges[self.passed..].iter_mut().take_while(|range| range.start < behind) {
            range.hash.update(&bytes[here(range.start)..here(range.end)]);
        }
        self.position = behind;
        let has_passed = |range: &&Range| range.end <= behind;
        self.passed += self.ranges[self.passed..].iter().take_while(has_passed).count();
    }

    /// The hash of each range in hex, in the order they were given, of those bytes that came.
    pub fn finish(self) -> Vec<String> {
        let mut hashes = vec![String::new(); self.ranges.len()];
        self.ranges.into_iter().for_each(|range| hashes[range.index] = hex(range.hash));
        hashes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> String {
        hex(Sha256::new().chain_update(bytes))
    }

    #[test]
    fn ranges_are_hashed_in_pieces_of_any_length() {
        let bytes: Vec<u8> = (0..1_000u32).map(|i| ((i * i) >> 3) as u8).collect();
        let ranges = [(700, 1_000), (0, 64), (64, 64), (64, 700), (100, 200), (150, 160), (1_000, 1_000)];
        let wanted: Vec<String> =
            ranges.iter().map(|&(start, end)| of(&bytes[start as usize..end as usize])).collect();
        for piece in [1, 7, 64, 333, 1_000] {
            let mut hashes = RangeHashes::new(ranges);
            bytes.chunks(piece).for_each(|piece| hashes.push(piece));
            assert_eq!(hashes.finish(), wanted, "pieces of {piece}");
        }
        let mut hashes = RangeHashes::new(ranges);
        hashes.push(&bytes[1..]);
        assert_ne!(hashes.finish(), wanted, "moved by a byte");
    }
}
