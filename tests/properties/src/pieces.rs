//! Where an input is cut into pieces: anywhere, but always the same for the same input.

/// A seeded generator (splitmix64).
pub struct Cuts(u64);

impl Cuts {
    /// Cuts that depend on every byte of the input.
    pub fn of(input: &[u8]) -> Self {
        // FNV-1a.
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(input.iter().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// Gives `bytes` to `take` in a few pieces, empty ones among them.
    pub fn cut<E>(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        const PIECES: u64 = 6;
        let mut rest = bytes;
        for _ in 0..PIECES {
            let (piece, behind) = rest.split_at(self.below(rest.len() as u64 + 1) as usize);
            take(piece)?;
            rest = behind;
        }
        take(rest)
    }
}
