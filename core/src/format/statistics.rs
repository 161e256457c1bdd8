//! What the stored values of one packed weight add up to.

use half::f16;

/// Powers of two that a positive f16 can lie between: 2^-24 (the smallest subnormal) to 2^15.
const OCTAVES: usize = 40;
/// Exponent of the first of them.
const FIRST_EXPONENT: i32 = -24;

/// Sums over the signs and scales of binary rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Sign bits that are plus.
    pub plus: u64,
    /// Number of scales.
    pub scales: u64,
    /// Their sum, in storage order.
    pub scale_sum: f64,
    /// The smallest, infinite when there is none.
    pub scale_min: f64,
    /// The largest, 0 when there is none.
    pub scale_max: f64,
    octaves: [u64; OCTAVES],
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            plus: 0,
            scales: 0,
            scale_sum: 0.0,
            scale_min: f64::INFINITY,
            scale_max: 0.0,
            octaves: [0; OCTAVES],
        }
    }
}

impl Statistics {
    /// Counts the set bits of sign planes, whose padding is zero.
    pub(super) fn add_signs(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let in_words: u64 = words.iter().map(|word| u64::from(u64::from_le_bytes(*word).count_ones())).sum();
        let in_rest: u64 = rest.iter().map(|byte| u64::from(byte.count_ones())).sum();
        self.plus += in_words + in_rest;
    }

    /// Counts a scale, which is finite and greater than 0.
    pub(super) fn add_scale(&mut self, bits: u16) {
        let scale = f16::from_bits(bits).to_f64();
        self.scales += 1;
        self.scale_sum += scale;
        self.scale_min = self.scale_min.min(scale);
        self.scale_max = self.scale_max.max(scale);
        let (exponent, mantissa) = (bits >> 10, bits & 0x3ff);
        // A normal number is 2^(exponent - 15) or more; a subnormal one is mantissa * 2^-24.
        let octave =
            if exponent == 0 { mantissa.checked_ilog2().unwrap_or(0) } else { u32::from(exponent) + 9 };
        self.octaves[octave as usize] += 1;
    }

    /// Adds those of another weight.
    pub fn merge(&mut self, other: &Self) {
        self.plus += other.plus;
        self.scales += other.scales;
        self.scale_sum += other.scale_sum;
        self.scale_min = self.scale_min.min(other.scale_min);
        self.scale_max = self.scale_max.max(other.scale_max);
        for (octave, more) in self.octaves.iter_mut().zip(other.octaves) {
            *octave += more;
        }
    }

    /// How many scales lie in `2^e .. 2^(e + 1)`, for each `e` that has any, in rising order.
    pub fn octaves(&self) -> impl Iterator<Item = (i32, u64)> {
        let counted = (FIRST_EXPONENT..).zip(self.octaves);
        counted.filter(|(_, scales)| *scales > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_fall_into_the_octave_of_their_logarithm() {
        for value in [
            f16::from_bits(1),
            f16::from_f32(6e-6),
            f16::MIN_POSITIVE,
            f16::from_f32(0.75),
            f16::ONE,
            f16::MAX,
        ] {
            let mut statistics = Statistics::default();
            statistics.add_scale(value.to_bits());
            let exponent = value.to_f64().log2().floor() as i32;
            assert_eq!(statistics.octaves().collect::<Vec<_>>(), [(exponent, 1)], "{value}");
        }
    }

    #[test]
    fn the_whole_is_the_sum_of_its_parts() {
        let mut one = Statistics::default();
        one.add_signs(&[0xff, 0, 1, 0, 0, 0, 0, 0, 3]);
        one.add_scale(f16::from_f32(0.5).to_bits());
        let mut both = one.clone();
        both.add_scale(f16::from_f32(2.0).to_bits());
        let mut other = Statistics::default();
        other.add_scale(f16::from_f32(2.0).to_bits());
        one.merge(&other);
        assert_eq!(one, both);
        assert_eq!(
            (one.plus, one.scales, one.scale_sum, one.scale_min, one.scale_max),
            (11, 2, 2.5, 0.5, 2.0)
        );
    }
}
