//! Normal doubles by the ziggurat of 256 strips (Marsaglia and Tsang, 2000), as numpy cuts them.

use super::Generator;
use super::tables::{FI, KI, WI};

/// Where the tail begins, and its inverse.
const TAIL: f64 = 3.654_152_885_361_009;
const INVERSE_TAIL: f64 = 0.273_661_237_329_758_3;

/// The tables: acceptance bounds, then widths and heights of the strips as the bits of doubles.
pub fn ziggurat_tables() -> [&'static [u64; 256]; 3] {
    [&KI, &WI, &FI]
}

impl Generator {
    /// `standard_normal()`.
    pub fn standard_normal(&mut self) -> f64 {
        loop {
            let bits = self.next_u64();
            let strip = (bits & 0xff) as usize;
            let bits = bits >> 8;
            let sign = if bits & 1 == 1 { -1.0 } else { 1.0 };
            let magnitude = (bits >> 1) & ((1 << 52) - 1);
            let x = sign * (magnitude as f64 * f64::from_bits(WI[strip]));
            if magnitude < KI[strip] {
                return x;
            }
            if strip == 0 {
                let value = TAIL + self.beyond_tail();
                return if magnitude >> 8 & 1 == 1 { -value } else { value };
            }
            let (outer, inner) = (f64::from_bits(FI[strip - 1]), f64::from_bits(FI[strip]));
            if (outer - inner) * self.next_f64() + inner < (-0.5 * x * x).exp() {
                return x;
            }
        }
    }

    /// How far beyond the tail's beginning.
    fn beyond_tail(&mut self) -> f64 {
        loop {
            let a = -INVERSE_TAIL * (-self.next_f64()).ln_1p();
            let b = -(-self.next_f64()).ln_1p();
            if b + b > a * a {
                return a;
            }
        }
    }
}
