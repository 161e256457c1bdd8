//! CRC-32 as zip uses it: polynomial 0xedb88320, bits reversed.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use flate2::Crc as Crc32;
#[cfg(target_arch = "wasm32")]
pub(crate) use sliced::Crc32;

/// Sixteen bytes at a step through tables that are computed at the first use. The tables of `flate2` are
/// 16 kB of noise, which the browser's page would have to fetch.
#[cfg(any(target_arch = "wasm32", test))]
mod sliced {
    use std::sync::LazyLock;

    const POLYNOMIAL: u32 = 0xedb8_8320;

    /// `TABLES[k][i][b]`: what byte `b` does to the sum when `4 * k + i` zero bytes follow it.
    static TABLES: LazyLock<[[[u32; 256]; 4]; 4]> = LazyLock::new(|| {
        let bit = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
        let first: [u32; 256] = std::array::from_fn(|byte| (0..8).fold(byte as u32, bit));
        let mut tables = [[first; 4]; 4];
        let mut last = first;
        for table in tables.as_flattened_mut().iter_mut().skip(1) {
            last = last.map(|before| (before >> 8) ^ first[(before & 255) as usize]);
            *table = last;
        }
        tables
    });

    /// What four bytes do to the sum.
    #[inline(always)]
    fn four([last, third, second, first]: &[[u32; 256]; 4], bytes: [u8; 4], sum: u32) -> u32 {
        let word = u32::from_le_bytes(bytes) ^ sum;
        first[(word & 255) as usize]
            ^ second[(word >> 8 & 255) as usize]
            ^ third[(word >> 16 & 255) as usize]
            ^ last[(word >> 24) as usize]
    }

    /// A checksum in the making.
    #[derive(Debug, Default)]
    pub(crate) struct Crc32 {
        sum: u32,
    }

    impl Crc32 {
        /// The sum of no bytes.
        pub(crate) fn new() -> Self {
            Self::default()
        }

        /// Takes the next bytes.
        pub(crate) fn update(&mut self, bytes: &[u8]) {
            let [last, third, second, first] = &*TABLES;
            let (words, rest) = bytes.as_chunks::<4>();
            let (steps, single) = words.as_chunks::<4>();
            let mut sum = !self.sum;
            for &[a, b, c, d] in steps {
                sum = four(first, a, sum) ^ four(second, b, 0) ^ four(third, c, 0) ^ four(last, d, 0);
            }
            for &word in single {
                sum = four(last, word, sum);
            }
            for byte in rest {
                sum = (sum >> 8) ^ last[0][((sum ^ u32::from(*byte)) & 255) as usize];
            }
            self.sum = !sum;
        }

        /// The sum so far.
        pub(crate) fn sum(&self) -> u32 {
            self.sum
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sliced::Crc32;

    #[test]
    fn is_that_of_flate2_for_any_length_and_cut() {
        let bytes: Vec<u8> = (0..1_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for len in [0, 1, 3, 4, 15, 16, 17, 63, 64, 999, 1_000] {
            let mut wanted = flate2::Crc::new();
            wanted.update(&bytes[..len]);
            for cut in [0, 1, 5, 8, 100].map(|cut| len.min(cut)) {
                let mut found = Crc32::new();
                found.update(&bytes[..cut]);
                found.update(&bytes[cut..len]);
                assert_eq!(found.sum(), wanted.sum(), "{len} bytes, cut at {cut}");
            }
        }
    }

    #[test]
    fn is_the_published_check_value() {
        let mut crc = Crc32::new();
        crc.update(b"123456789");
        assert_eq!(crc.sum(), 0xcbf4_3926);
    }
}
