//! Cases of kernels that take each row by itself, as data: what goes in, what the twin makes of it, and
//! faults in the text that must be noticed. The GPU suite runs them as they are.

use super::call::{Call, Row};

/// Rows and columns of pointwise kernels: around and between the widths of a workgroup.
pub const SIZES: [(usize, usize); 5] = [(1, 1), (31, 33), (65, 64), (33, 127), (257, 63)];
/// Rows, heads, channels of a head: the same for kernels that take heads.
pub const HEADS: [(usize, usize, usize); 5] =
    [(1, 1, 32), (31, 3, 33), (65, 2, 64), (33, 9, 8), (257, 17, 3)];
/// What the trials of norms add to a mean of squares.
pub const EPS: f32 = 1e-6;

/// What a kernel is given.
#[derive(Debug, Clone)]
pub enum Operand {
    /// Activations, so many columns a row.
    Rows(usize, Vec<f32>),
    /// Rows of so many columns that are written.
    Output(usize),
    /// The same vector for every row.
    Vector(Vec<f32>),
}

/// Makes a call for rows that lie in memory like this.
pub type Caller = Box<dyn Fn(&[Row]) -> Call>;

/// One case of a kernel.
pub struct Trial {
    /// What tells it from others.
    pub name: String,
    /// Rows of each operand that has rows.
    pub rows: usize,
    /// In the order of the bindings.
    pub operands: Vec<Operand>,
    /// The kernel and its parameters for how those operands with rows lie in memory.
    pub call: Caller,
    /// Which operand holds the result.
    pub output: usize,
    /// The twin's result.
    pub want: Vec<f32>,
    /// The value whose sign is flipped to see that it matters: operand and index.
    pub flips: (usize, usize),
    /// Faults to put into the kernel's text, by what is replaced and what replaces it.
    pub faults: Vec<(&'static str, &'static str)>,
}

impl Trial {
    /// A case of `rows` rows without operands, that expects nothing yet.
    pub fn new(name: String, rows: usize, call: impl Fn(&[Row]) -> Call + 'static) -> Self {
        let call = Box::new(call);
        let (operands, want, faults) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, rows, operands, call, output: 0, want, flips: (0, 0), faults }
    }

    /// With rows of these values as the next operand.
    #[must_use]
    pub fn rows(mut self, values: Vec<f32>) -> Self {
        self.operands.push(Operand::Rows(values.len() / self.rows, values));
        self
    }

    /// With a vector as the next operand.
    #[must_use]
    pub fn vector(mut self, values: Vec<f32>) -> Self {
        self.operands.push(Operand::Vector(values));
        self
    }

    /// With whole numbers as the next operand: a vector of their bits.
    #[must_use]
    pub fn indices(self, values: &[u32]) -> Self {
        self.vector(values.iter().copied().map(f32::from_bits).collect())
    }

    /// With rows of so many columns to be written as the next operand.
    #[must_use]
    pub fn output(mut self, columns: usize) -> Self {
        self.operands.push(Operand::Output(columns));
        self
    }

    /// Expecting these values in an operand.
    #[must_use]
    pub fn wants(mut self, operand: usize, want: Vec<f32>) -> Self {
        (self.output, self.want) = (operand, want);
        self
    }

    /// With another value to be flipped than the first of all.
    #[must_use]
    pub fn flipping(mut self, operand: usize, index: usize) -> Self {
        self.flips = (operand, index);
        self
    }

    /// With a fault that must be noticed.
    #[must_use]
    pub fn fault(mut self, from: &'static str, to: &'static str) -> Self {
        self.faults.push((from, to));
        self
    }
}

/// Values of which some are far out on both sides, where e^-x overflows or vanishes.
pub fn far_out(mut values: Vec<f32>, factors: [f32; 3]) -> Vec<f32> {
    values.iter_mut().enumerate().for_each(|(i, value)| *value *= factors[i % 3]);
    values
}

/// SplitMix64: small, seeded, and good enough to avoid patterns.
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0 .. end.
    pub fn below(&mut self, end: usize) -> usize {
        (self.word() % end as u64) as usize
    }

    /// Uniform in 0 .. 1.
    pub fn unit(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Of either sign and never near 0, so that every element counts: 0.5 .. 1.5.
    pub fn signed(&mut self) -> f32 {
        let magnitude = 0.5 + self.unit();
        if self.word() & 1 == 1 { magnitude } else { -magnitude }
    }

    /// That many of [`Random::signed`].
    pub fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.signed()).collect()
    }
}
