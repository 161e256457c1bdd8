//! Random blocks of each type, with values like a model's.

use bitgauge_core::BlockType;
use bitgauge_core::format;
use half::f16;

/// About the largest value of a matrix.
const LARGEST: f32 = 0.1;

/// Where a block's scales stand.
enum Scales {
    /// f16 at these bytes.
    Halves(&'static [usize]),
    /// f32 at the first byte.
    Wide,
    /// In the highest half bytes of the last four words.
    Spread,
    /// Exponents or short floats in these first bytes: this one and what is below it.
    Bytes(usize, u8),
}

fn scales(block: BlockType) -> Scales {
    use BlockType as B;
    match block {
        B::Q4_1 | B::Q5_1 | B::Q4K | B::Q5K => Scales::Halves(&[0, 2]),
        B::Q2K => Scales::Halves(&[80, 82]),
        B::Q3K => Scales::Halves(&[108]),
        B::Q6K => Scales::Halves(&[208]),
        B::Tq1_0 => Scales::Halves(&[52]),
        B::Tq2_0 => Scales::Halves(&[64]),
        B::Q8K => Scales::Wide,
        B::Iq1M => Scales::Spread,
        B::Mxfp4 => Scales::Bytes(1, 121),
        B::Nvfp4 => Scales::Bytes(4, 8),
        _ => Scales::Halves(&[0]),
    }
}

fn set_scale(block: BlockType, bytes: &mut [u8], scale: f32) {
    let half = f16::from_f32(scale).to_bits();
    match scales(block) {
        Scales::Halves(places) => {
            places.iter().for_each(|at| bytes[*at..at + 2].copy_from_slice(&half.to_le_bytes()));
        }
        Scales::Wide => bytes[..4].copy_from_slice(&scale.to_le_bytes()),
        Scales::Spread => {
            for i in 0..4 {
                bytes[49 + 2 * i] = bytes[49 + 2 * i] & 0xf | ((half >> (4 * i) & 0xf) as u8) << 4;
            }
        }
        Scales::Bytes(count, most) => bytes[..count].iter_mut().for_each(|byte| *byte = most - *byte % 3),
    }
}

/// Gives matrices of every type that has values, one after the other.
pub struct Blocks {
    types: Vec<BlockType>,
    random: fastrand::Rng,
    /// How many were given of each.
    given: Vec<usize>,
}

impl Blocks {
    pub fn new() -> Self {
        let has_values =
            |block: &BlockType| !matches!(block, BlockType::Q2_0Wide | BlockType::Pq2_0 | BlockType::Ptq1_0);
        let types: Vec<BlockType> = BlockType::all().filter(has_values).collect();
        Self { given: vec![0; types.len()], types, random: fastrand::Rng::with_seed(4) }
    }

    /// Random blocks of the next type that fits rows of this length.
    pub fn next(&mut self, [rows, cols]: [u64; 2]) -> Result<(BlockType, Vec<u8>), String> {
        let fitting = (0..self.types.len()).filter(|i| cols.is_multiple_of(self.types[*i].values()));
        let at = fitting.min_by_key(|i| self.given[*i]).ok_or("no type fits")?;
        self.given[at] += 1;
        let block = self.types[at];
        let mut bytes = vec![0; (rows * cols / block.values() * block.bytes()) as usize];
        self.random.fill(&mut bytes);
        let scaled = |bytes: &mut [u8], scale: f32| {
            bytes.chunks_exact_mut(block.bytes() as usize).for_each(|bytes| set_scale(block, bytes, scale));
        };
        scaled(&mut bytes, 1.0);
        let values = format::decode_blocks("unit", block, [rows, cols], &bytes).map_err(|e| e.to_string())?;
        let largest = values.to_f32().into_iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        scaled(&mut bytes, LARGEST / largest);
        Ok((block, bytes))
    }

    /// Whether each type was given.
    pub fn were_all_given(&self) -> bool {
        self.given.iter().all(|count| *count > 0)
    }
}
