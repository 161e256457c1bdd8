//! The best mix under a byte budget: how many bases each matrix gets, and which rows are rescued.
//!
//! Bits are spent where they lower the squared error most. A second basis is bought for a whole
//! matrix, a rescue row by the row. Both are bought by error per byte: first some number of the best
//! bases, then rows until none fits. Every such number is a candidate; the one with the least error
//! wins. Sizes are exact: header digits and archive records are counted by writing them.

use bitgauge_core::Result;
use bitgauge_core::format::Layout;

/// Prefixes of the list of bases that are compared at once.
const COMPARED: usize = 12;
/// Most bytes by which the header grows per tensor when its numbers get longer.
const HEADER_GROWTH_BYTES: i64 = 24;

/// What is known about one matrix.
#[derive(Debug, Clone)]
pub(super) struct Surveyed {
    pub(super) rows: u64,
    pub(super) cols: u64,
    /// Squared error of each row as a binary one: with one basis, with two, and so on.
    pub(super) binary: Vec<Vec<f32>>,
    /// Squared error of each row as a rescue row.
    pub(super) rescue: Vec<f32>,
}

/// What must not be exceeded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    pub(super) artifact_bytes: u64,
    /// Parameters in rescue rows.
    pub(super) rescue_parameters: u64,
}

/// How one matrix is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mixed {
    pub(super) bases: usize,
    /// Ascending.
    pub(super) rescue_rows: Vec<u32>,
}

/// How all matrices are stored, and what error that leaves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mix {
    pub(super) matrices: Vec<Mixed>,
    pub(super) error: f64,
}

/// A search with scale groups of one size.
pub(super) struct Search<'a> {
    pub(super) matrices: &'a [Surveyed],
    pub(super) scale_group: u64,
    pub(super) caps: Caps,
    /// Exact bytes of the artifact with these layouts, in the order of `matrices`.
    pub(super) artifact_bytes: &'a dyn Fn(&[Layout]) -> u64,
}

/// One row that could be rescued.
struct Candidate {
    gain_per_byte: f32,
    matrix: u32,
    row: u32,
}

/// One more basis for a matrix.
struct Upgrade {
    matrix: usize,
    gain_per_byte: f64,
    bytes: u64,
}

impl Search<'_> {
    /// The best mix, or `None` when even one basis without rescue rows is over the budget.
    pub(super) fn run(&self) -> Result<Option<Mix>> {
        let one = vec![1; self.matrices.len()];
        let smallest = self.bytes(&one, &vec![0; one.len()])?;
        if smallest > self.caps.artifact_bytes {
            return Ok(None);
        }
        let upgrades = self.affordable_upgrades(self.caps.artifact_bytes - smallest)?;
        let bases_after = |count: usize| {
            let mut bases = one.clone();
            for upgrade in &upgrades[..count] {
                bases[upgrade.matrix] += 1;
            }
            bases
        };
        let (mut low, mut high) = (0, upgrades.len());
        let best = loop {
            let step = (high - low).div_ceil(COMPARED).max(1);
            let counts: Vec<usize> = (low..high).step_by(step).chain([high]).collect();
            let mut errors = Vec::with_capacity(counts.len());
            for &count in &counts {
                errors.push(self.fill_roughly(&bases_after(count))?.error(self));
            }
            let best = (0..counts.len()).min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap_or(0);
            if step == 1 {
                break counts[best];
            }
            (low, high) = (counts[best.saturating_sub(1)], counts[(best + 1).min(counts.len() - 1)]);
        };
        // Bases were counted without the header's growth and padding: so the last may be one too many.
        for count in (0..=best).rev() {
            let mut fill = self.fill_roughly(&bases_after(count))?;
            fill.fill_exactly(self)?;
            if !fill.is_over(self)? {
                return Ok(Some(fill.finish(self)));
            }
        }
        Ok(None)
    }

    fn layout(&self, matrix: usize, bases: usize, rescued: u64) -> Result<Layout> {
        let Surveyed { rows, cols, .. } = self.matrices[matrix];
        let bases = if rescued == rows { 0 } else { bases as u64 };
        Layout::new(rows, cols, bases, rescued, self.scale_group)
    }

    fn bytes(&self, bases: &[usize], rescued: &[u64]) -> Result<u64> {
        let layouts = bases.iter().zip(rescued).enumerate();
        let layouts = layouts.map(|(i, (&bases, &rescued))| self.layout(i, bases, rescued));
        Ok((self.artifact_bytes)(&layouts.collect::<Result<Vec<_>>>()?))
    }

    /// How many more bytes a rescue row takes than a binary one.
    fn row_cost(&self, matrix: usize, bases: usize) -> Result<i64> {
        let layout = self.layout(matrix, bases, 0)?;
        Ok(layout.rescue_row_bytes() as i64 - layout.binary_row_bytes() as i64)
    }

    /// More bases in the order of what they gain per byte, as far as `spare` bytes go. One that is
    /// too large is passed over, and so are further ones of its matrix.
    fn affordable_upgrades(&self, spare: u64) -> Result<Vec<Upgrade>> {
        let mut upgrades = Vec::new();
        for (matrix, surveyed) in self.matrices.iter().enumerate() {
            let mut least = f64::INFINITY;
            for bases in 1..surveyed.binary.len() {
                let layout = self.layout(matrix, bases, 0)?;
                let bytes = layout.rows() * layout.binary_row_bytes() / layout.bases();
                let gain = sum(&surveyed.binary[bases - 1]) - sum(&surveyed.binary[bases]);
                // No step comes before the one that it builds on.
                least = least.min(gain / bytes as f64);
                upgrades.push(Upgrade { matrix, gain_per_byte: least, bytes });
            }
        }
        upgrades.retain(|upgrade| upgrade.gain_per_byte > 0.0);
        upgrades.sort_by(|a, b| b.gain_per_byte.total_cmp(&a.gain_per_byte));
        let (mut left, mut closed) = (spare, vec![false; self.matrices.len()]);
        upgrades.retain(|upgrade| {
            let fits = !closed[upgrade.matrix] && upgrade.bytes <= left;
            if fits {
                left -= upgrade.bytes;
            } else {
                closed[upgrade.matrix] = true;
            }
            fits
        });
        Ok(upgrades)
    }

    /// Rescues the best rows for these bases until the budget is nearly used.
    fn fill_roughly(&self, bases: &[usize]) -> Result<Fill> {
        let count = self.matrices.len();
        let mut fill = Fill {
            bases: bases.to_vec(),
            rescued: vec![0; count],
            parameters: 0,
            taken: Vec::new(),
            left: self.candidates(bases)?,
        };
        let costs = bases.iter().enumerate().map(|(i, &bases)| self.row_cost(i, bases));
        let costs = costs.collect::<Result<Vec<_>>>()?;
        let one_each: Vec<u64> = self.matrices.iter().map(|matrix| 1.min(matrix.rows - 1)).collect();
        let (none, some) = (self.bytes(bases, &fill.rescued)? as i64, self.bytes(bases, &one_each)? as i64);
        let entries = (some - none - costs.iter().sum::<i64>()).max(0);
        let reserve = entries + HEADER_GROWTH_BYTES * 5 * count as i64;
        let mut spare = self.caps.artifact_bytes as i64 - none - reserve;
        let (taken, left) = std::mem::take(&mut fill.left).into_iter().partition(|candidate: &Candidate| {
            let (matrix, cost) = (candidate.matrix as usize, costs[candidate.matrix as usize]);
            let fits = cost <= spare && fill.fits_cap(self, matrix);
            if fits {
                spare -= cost;
                fill.count(self, matrix);
            }
            fits
        });
        (fill.taken, fill.left) = (taken, left);
        Ok(fill)
    }

    /// Every row that would get better, the best first; of equal ones the first.
    fn candidates(&self, bases: &[usize]) -> Result<Vec<Candidate>> {
        let mut candidates = Vec::new();
        for (matrix, surveyed) in self.matrices.iter().enumerate() {
            let cost = self.row_cost(matrix, bases[matrix])?;
            let rows = surveyed.binary[bases[matrix] - 1].iter().zip(&surveyed.rescue).zip(0..);
            candidates.extend(rows.filter(|((binary, rescue), _)| binary > rescue).map(
                |((binary, rescue), row)| {
                    let gain = f64::from(binary - rescue);
                    let gain_per_byte = if cost > 0 { (gain / cost as f64) as f32 } else { f32::INFINITY };
                    Candidate { gain_per_byte, matrix: matrix as u32, row }
                },
            ));
        }
        candidates.sort_unstable_by(|a, b| {
            b.gain_per_byte.total_cmp(&a.gain_per_byte).then((a.matrix, a.row).cmp(&(b.matrix, b.row)))
        });
        Ok(candidates)
    }
}

/// Rows being chosen for fixed bases.
struct Fill {
    bases: Vec<usize>,
    /// Rescue rows of each matrix.
    rescued: Vec<u64>,
    /// Parameters in them.
    parameters: u64,
    taken: Vec<Candidate>,
    /// Rows that are not taken, the best first.
    left: Vec<Candidate>,
}

impl Fill {
    fn fits_cap(&self, search: &Search, matrix: usize) -> bool {
        self.parameters + search.matrices[matrix].cols <= search.caps.rescue_parameters
    }

    fn count(&mut self, search: &Search, matrix: usize) {
        self.rescued[matrix] += 1;
        self.parameters += search.matrices[matrix].cols;
    }

    fn is_over(&self, search: &Search) -> Result<bool> {
        Ok(search.bytes(&self.bases, &self.rescued)? > search.caps.artifact_bytes)
    }

    /// Takes rows while one fits exactly.
    fn fill_exactly(&mut self, search: &Search) -> Result<()> {
        // The reserve of the rough pass was enough unless a header is longer than any that is known.
        while self.is_over(search)? {
            let Some(last) = self.taken.pop() else { break };
            self.rescued[last.matrix as usize] -= 1;
            self.parameters -= search.matrices[last.matrix as usize].cols;
            self.left.push(last);
        }
        loop {
            let mut closed = vec![false; search.matrices.len()];
            let mut left = Vec::with_capacity(self.left.len());
            let before = self.taken.len();
            for candidate in std::mem::take(&mut self.left) {
                let matrix = candidate.matrix as usize;
                if !closed[matrix] && self.fits_cap(search, matrix) {
                    self.rescued[matrix] += 1;
                    closed[matrix] = self.is_over(search)?;
                    self.rescued[matrix] -= 1;
                } else {
                    closed[matrix] = true;
                }
                if closed[matrix] {
                    left.push(candidate);
                } else {
                    self.count(search, matrix);
                    self.taken.push(candidate);
                }
            }
            self.left = left;
            // Numbers in the header may have become shorter, so what was closed is tried again.
            if self.taken.len() == before {
                return Ok(());
            }
        }
    }

    fn error(&self, search: &Search) -> f64 {
        let binary: f64 = (search.matrices.iter().zip(&self.bases))
            .map(|(matrix, &bases)| sum(&matrix.binary[bases - 1]))
            .sum();
        let gained: f64 = (self.taken.iter())
            .map(|candidate| {
                let (matrix, row) = (candidate.matrix as usize, candidate.row as usize);
                let surveyed = &search.matrices[matrix];
                let binary = surveyed.binary[self.bases[matrix] - 1][row];
                f64::from(binary - surveyed.rescue[row])
            })
            .sum();
        binary - gained
    }

    fn finish(self, search: &Search) -> Mix {
        let error = self.error(search);
        let mut matrices: Vec<Mixed> =
            self.bases.iter().map(|&bases| Mixed { bases, rescue_rows: Vec::new() }).collect();
        for candidate in self.taken {
            matrices[candidate.matrix as usize].rescue_rows.push(candidate.row);
        }
        for matrix in &mut matrices {
            matrix.rescue_rows.sort_unstable();
        }
        Mix { matrices, error }
    }
}

fn sum(errors: &[f32]) -> f64 {
    errors.iter().map(|&error| f64::from(error)).sum()
}
