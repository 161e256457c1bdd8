//! How far a loss may be off when products have f16 factors: what rounding those factors does to that very
//! loss, measured by rounding them in several ways on the CPU.
//!
//! A bound in nats can't serve: rounding moves one token's loss by 3e-4 and another's by 5e-2, and both
//! are right. In units of its own noise each token's error is about 1.

use std::path::Path;

use bitgauge_eval::{Backend, Task};
use native_eval::open_cpu;

use crate::half_twin::HalfTwin;
use crate::{Golden, Run, open_model};

/// Ways to round that the noise is measured with.
const ROUNDINGS: u32 = 16;

/// The root mean square of what rounding does to each loss of a run, in nats.
pub struct Noise(Vec<f64>);

/// Most that the losses of a run may be off, in units of each loss's noise.
#[derive(Clone, Copy)]
pub struct Bound {
    /// What f32 rounds, in nats: added to the noise.
    pub floor: f64,
    /// How much more noise there is than that of the factors alone.
    pub noise: f64,
    /// The root mean square over all tokens.
    pub all: f64,
    /// Each token.
    pub each: f64,
}

impl Noise {
    /// Measures the noise; `rounds_attention` says whether attention has f16 factors, too.
    pub fn measure(folder: &Path, sequence: &str, rounds_attention: bool) -> Result<Self, String> {
        let mut squares: Vec<f64> = Vec::new();
        for way in 1..=ROUNDINGS {
            // Neither 1 nor a power of 2, which round like 1.
            let scale = 1.0 + way as f32 / (ROUNDINGS + 1) as f32;
            let mut twin = HalfTwin { inner: open_cpu(None).expect("threads"), rounds_attention, scale };
            let [got, want] = Losses { folder, sequence }.run(&mut twin)?;
            squares.resize(want.len(), 0.0);
            for (square, error) in squares.iter_mut().zip(errors(&got, &want)) {
                *square += error * error / f64::from(ROUNDINGS);
            }
        }
        Ok(Self(squares.into_iter().map(f64::sqrt).collect()))
    }

    /// Fails if losses are off by more than the bound allows. Says how far they are off.
    pub fn check(&self, got: &[f32], want: &[f32], bound: Bound) -> Result<String, String> {
        let off = self.off(got, want, bound)?;
        let text = format!("off by {:.2} of their noise, one by {:.2}", off.all, off.each);
        if off.is_beyond(bound, 1.0) {
            return Err(format!("{text}, over {} or {}", bound.all, bound.each));
        }
        Ok(text)
    }

    /// How far losses are off, in units of the bound's noise.
    pub fn off(&self, got: &[f32], want: &[f32], bound: Bound) -> Result<Off, String> {
        if got.len() != self.0.len() || want.len() != self.0.len() || got.is_empty() {
            return Err(format!("{} losses, expected {}", got.len(), self.0.len()));
        }
        let noise = self.0.iter().map(|noise| bound.noise * noise + bound.floor);
        let units: Vec<f64> = errors(got, want).zip(noise).map(|(error, noise)| error / noise).collect();
        if units.iter().any(|unit| unit.is_nan()) {
            return Err("a loss is not a number".into());
        }
        let squares: f64 = units.iter().map(|unit| unit * unit).sum();
        Ok(Off { all: (squares / units.len() as f64).sqrt(), each: units.into_iter().fold(0.0, f64::max) })
    }
}

/// How far losses are off: the root mean square, and the largest.
pub struct Off {
    all: f64,
    each: f64,
}

impl Off {
    /// Whether this is more than so many times the bound.
    pub fn is_beyond(&self, bound: Bound, times: f64) -> bool {
        self.all > times * bound.all || self.each > times * bound.each
    }
}

fn errors(got: &[f32], want: &[f32]) -> impl Iterator<Item = f64> {
    got.iter().zip(want).map(|(got, want)| (f64::from(*got) - f64::from(*want)).abs())
}

/// The losses of one model and sequence length, and what they should be.
pub struct Losses<'a> {
    pub folder: &'a Path,
    pub sequence: &'a str,
}

impl Task for Losses<'_> {
    type Output = Result<[Vec<f32>; 2], String>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let golden = Golden::read(self.folder, self.sequence)?;
        let model = open_model(backend, self.folder)?;
        Run::new(&golden, false).losses(backend, &model)
    }
}
