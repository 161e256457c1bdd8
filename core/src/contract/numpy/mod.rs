//! numpy, to the bit: its default generator (`SeedSequence`, PCG64 XSL-RR, permutations by masked
//! rejection, uniform and normal doubles), its sums and its partial sorts.

mod normal;
mod reduce;
mod tables;

pub use normal::ziggurat_tables;
pub use reduce::{largest, mean_abs};

/// `numpy.random.default_rng(seed)`.
#[derive(Debug, Clone)]
pub struct Generator {
    state: u128,
    increment: u128,
    /// The upper half of a 64-bit draw whose lower half was already given.
    half: Option<u32>,
}

const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;

impl Generator {
    /// Seeds a generator through `SeedSequence(seed)`.
    pub fn new(seed: u64) -> Self {
        let [s0, s1, s2, s3] = seed_words(seed).map(u128::from);
        let mut generator = Self { state: 0, increment: (s2 << 64 | s3) << 1 | 1, half: None };
        generator.step();
        generator.state = generator.state.wrapping_add(s0 << 64 | s1);
        generator.step();
        generator
    }

    fn step(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    /// The next 64 bits. A buffered half stays where it is.
    pub fn next_u64(&mut self) -> u64 {
        self.step();
        // The two halves of the state, folded and rotated by its six highest bits.
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    /// The next 32 bits: the lower half of a draw, then its upper half.
    pub fn next_u32(&mut self) -> u32 {
        self.half.take().unwrap_or_else(|| {
            let bits = self.next_u64();
            self.half = Some((bits >> 32) as u32);
            bits as u32
        })
    }

    /// A double in `[0, 1)` of 53 random bits.
    pub fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// An integer in `0..=max`: draws under the smallest mask that covers `max` until one fits.
    fn interval(&mut self, max: u32) -> u32 {
        let mask = u32::MAX.checked_shr(max.leading_zeros()).unwrap_or(0);
        loop {
            let value = self.next_u32() & mask;
            if value <= max {
                return value;
            }
        }
    }

    /// `permutation(n)`: the numbers `0..n` shuffled.
    pub fn permutation(&mut self, n: u32) -> Vec<u32> {
        let mut items: Vec<u32> = (0..n).collect();
        for i in (1..n).rev() {
            let j = self.interval(i);
            items.swap(i as usize, j as usize);
        }
        items
    }
}

/// `SeedSequence(seed).generate_state(4, uint64)`.
fn seed_words(seed: u64) -> [u64; 4] {
    let pool = mixed_pool(seed);
    let mut constant = 0x8b51_f9dd_u32;
    let mut word = |k: usize| {
        let mut value = pool[k % 4] ^ constant;
        constant = constant.wrapping_mul(0x58f3_8ded);
        value = value.wrapping_mul(constant);
        u64::from(value ^ value >> 16)
    };
    let mut words = [0; 4];
    for (i, pair) in words.iter_mut().enumerate() {
        *pair = word(2 * i) | word(2 * i + 1) << 32;
    }
    words
}

/// The entropy pool of a seed, each word mixed into every other.
fn mixed_pool(seed: u64) -> [u32; 4] {
    let mut constant = 0x43b0_d7e5_u32;
    let mut hash = |value: u32| {
        let value = value ^ constant;
        constant = constant.wrapping_mul(0x931e_8875);
        let value = value.wrapping_mul(constant);
        value ^ value >> 16
    };
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(&mut hash);
    for source in 0..4 {
        for destination in (0..4).filter(|&d| d != source) {
            let (x, y) = (pool[destination], hash(pool[source]));
            let mixed = x.wrapping_mul(0xca01_f9dd).wrapping_sub(y.wrapping_mul(0x4973_f715));
            pool[destination] = mixed ^ mixed >> 16;
        }
    }
    pool
}
