//! Weights of a model's files with their signs flipped, and whether that is noticed.
//!
//! A flip counts if, in exact arithmetic, it moves the losses by more than twice what a bound allows: its own
//! effect and an error within the bound are over the bound together. Of each matrix of each model some flips
//! count, of one weight where one suffices, and each of them must be noticed.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bitgauge_core::container::TensorEntry;
use bitgauge_core::format::Form;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::Presence;
use bitgauge_eval::{Backend, Task};
use conformance::copy_folder;
use native_eval::{Source, open_cpu};

use crate::Golden;
use crate::noise::{Bound, Losses, Noise};

/// How many times the bound a flip must be to count: a little more than twice, as rounding is another with it.
const CLEAR: f64 = 2.2;
/// Flips of each matrix.
const FLIPS: usize = 2;
/// Which single weights of a matrix are tried, by their magnitude: half of all are smaller than the first.
const QUANTILES: [f64; 7] = [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99];
/// How many of the largest weights are then tried, one at a time, before several are flipped at once.
const LARGEST: usize = 64;

/// A copy of a model whose weights can be flipped.
pub struct Copy {
    folder: tempfile::TempDir,
    /// Every matrix that the model computes with.
    matrices: Vec<Weights>,
}

/// The weights of a matrix, the smallest first; of an embedding those of a token that occurs.
struct Weights {
    name: String,
    file: PathBuf,
    /// Where in the file the byte with each weight's sign is.
    signs: Vec<u64>,
}

/// Some weights that are flipped at once.
pub struct Flip<'a> {
    matrix: &'a Weights,
    weights: Range<usize>,
}

impl Copy {
    /// Copies a golden model and finds its weights.
    pub fn of(golden: &Path) -> Result<Self, String> {
        let folder = copy_folder(golden);
        let source = Source::open(folder.path()).map_err(|e| e.to_string())?;
        let artifact = source.artifact();
        let inventory = Inventory::of(artifact).map_err(|e| e.to_string())?;
        let token = Golden::read(golden, "s33")?.ids[3] as usize;
        let mut matrices = Vec::new();
        for weight in &inventory.weights {
            let (Some(expected), Form::Plain { index }) = (&weight.expected, &weight.form) else { continue };
            if expected.shape.len() < 2 || expected.presence == Presence::TiedCopy {
                continue;
            }
            let tensor = &artifact.tensors[*index];
            let file = folder.path().join(&artifact.members[tensor.member].name);
            let row = weight.name.ends_with("embed_tokens.weight").then_some(token);
            let signs = signs(&file, tensor, row).map_err(|e| format!("{}: {e}", file.display()))?;
            matrices.push(Weights { name: weight.name.clone(), file, signs });
        }
        drop(source);
        if matrices.is_empty() { Err("no matrix was found".into()) } else { Ok(Self { folder, matrices }) }
    }

    /// Of each matrix the first flips that count, beginning with ordinary weights. Fails if it has none.
    pub fn flips(&self, noise: &Noise, bound: Bound) -> Result<Vec<Flip<'_>>, String> {
        let mut exact = open_cpu(None).expect("threads");
        let mut all = Vec::new();
        for matrix in &self.matrices {
            let before = all.len();
            for weights in matrix.candidates() {
                let flip = Flip { matrix, weights };
                let [got, want] = flip.during(|| self.losses().run(&mut exact))??;
                if noise.off(&got, &want, bound)?.is_beyond(bound, CLEAR) {
                    all.push(flip);
                }
                if all.len() == before + FLIPS {
                    break;
                }
            }
            if all.len() == before {
                return Err(format!("{}: whichever weights are flipped, it does not show", matrix.name));
            }
        }
        Ok(all)
    }

    fn losses(&self) -> Losses<'_> {
        Losses { folder: self.folder.path(), sequence: "s33" }
    }
}

impl Weights {
    /// What is flipped, in the order in which it is tried: single weights, then 2, 4, 8 and so on of the largest.
    fn candidates(&self) -> impl Iterator<Item = Range<usize>> {
        let count = self.signs.len();
        let ordinary = QUANTILES.into_iter().map(move |quantile| ((count - 1) as f64 * quantile) as usize);
        let single = ordinary.chain(count.saturating_sub(LARGEST)..count).map(|index| index..index + 1);
        let many = (1..).map(|power| 1 << power).take_while(move |many| *many <= count);
        single.chain(many.map(move |many| count - many..count))
    }
}

impl Flip<'_> {
    /// Does something while the weights are flipped.
    fn during<T>(&self, work: impl FnOnce() -> T) -> Result<T, String> {
        let flip = || self.flip().map_err(|e| format!("{}: {e}", self.matrix.file.display()));
        flip()?;
        let result = work();
        flip()?;
        Ok(result)
    }

    fn flip(&self) -> std::io::Result<()> {
        let mut file = OpenOptions::new().read(true).write(true).open(&self.matrix.file)?;
        let mut byte = [0];
        for sign in &self.matrix.signs[self.weights.clone()] {
            file.seek(SeekFrom::Start(*sign))?;
            file.read_exact(&mut byte)?;
            file.seek(SeekFrom::Start(*sign))?;
            file.write_all(&[byte[0] ^ 0x80])?;
        }
        Ok(())
    }
}

/// The signs of a tensor's values, or of one of its rows, the smallest magnitude first.
fn signs(path: &Path, tensor: &TensorEntry, row: Option<usize>) -> std::io::Result<Vec<u64>> {
    let mut file = std::fs::File::open(path)?;
    let mut bytes = vec![0; tensor.bytes as usize];
    file.seek(SeekFrom::Start(tensor.offset))?;
    file.read_exact(&mut bytes)?;
    let (rows, values) = (tensor.shape[0] as usize, tensor.shape.iter().product::<u64>() as usize);
    let (cols, width) = (values / rows, bytes.len() / values);
    // Without their signs, floats are ordered like the integers of the same bits.
    let magnitude = |&value: &usize| {
        let mut bits = [0; 8];
        bits[..width].copy_from_slice(&bytes[value * width..][..width]);
        bits[width - 1] &= 0x7f;
        u64::from_le_bytes(bits)
    };
    let mut order: Vec<usize> = row.map_or(0..values, |row| row * cols..(row + 1) * cols).collect();
    order.sort_by_key(magnitude);
    Ok(order.into_iter().map(|value| tensor.offset + ((value + 1) * width - 1) as u64).collect())
}

/// Flips weights, one flip at a time; each must be over the bound, and the model without a flip within it.
pub struct Caught<'a> {
    pub copy: &'a Copy,
    pub flips: &'a [Flip<'a>],
    pub noise: &'a Noise,
    pub bound: Bound,
}

impl Task for Caught<'_> {
    type Output = Result<String, String>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let Self { copy, flips, noise, bound } = self;
        let [got, want] = copy.losses().run(backend)?;
        let sound = noise.check(&got, &want, bound)?;
        for flip in flips {
            let [got, want] = flip.during(|| copy.losses().run(backend))??;
            if let Ok(text) = noise.check(&got, &want, bound) {
                return Err(format!("{}: flipped weights went unnoticed: {text}", flip.matrix.name));
            }
        }
        let several = flips.iter().filter(|flip| flip.weights.len() > 1).count();
        let (flips, matrices) = (flips.len(), copy.matrices.len());
        Ok(format!(
            "{flips} flips in {matrices} matrices caught, {several} of them of several weights; else {sound}"
        ))
    }
}
