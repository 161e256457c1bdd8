//! Some rows of a model's matrices, of each way in which they are stored, for the kernels to be checked with.

use bitgauge_core::inventory::{Stored, Weight};
use bitgauge_core::model::Role;
use bitgauge_core::plan::{Plan, turned_heads};
use bitgauge_core::{Dtype, Matrix, Result};
use bitgauge_eval::{Sample, WeightForms};

use crate::source::Source;
use crate::stored;

/// Rows of a sample: over one tile of a product.
const ROWS: u64 = 68;

/// What tells kernels for matrices, and the ways through them, from each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Dense(Dtype),
    /// Bases, columns of a scale, and whether there are rescue rows.
    Bitpacked(u64, u64, bool),
}

/// The samples so far.
pub struct Samples<'a> {
    plan: &'a Plan,
    seen: Vec<(Sample, Way)>,
    /// What they are of, and their values as they are stored.
    pub found: Vec<(Sample, Matrix)>,
}

impl<'a> Samples<'a> {
    /// None yet.
    pub fn new(plan: &'a Plan) -> Self {
        Self { plan, seen: Vec::new(), found: Vec::new() }
    }

    /// Takes some rows of a weight, if it is a matrix of a way that was not met.
    ///
    /// # Errors
    /// Files that can't be read, rows that are not what their format allows.
    pub async fn add(&mut self, weight: &Weight, files: &[Source], forms: WeightForms) -> Result<()> {
        let Some(expected) = weight.expected.as_ref().filter(|expected| expected.matrix().is_some()) else {
            return Ok(());
        };
        let is_head = |weight: &Weight| weight.expected.as_ref().is_some_and(|e| e.role == Role::Head);
        let has_head = self.plan.weights.iter().any(is_head);
        let uses: &[Sample] = match expected.role {
            Role::Embedding if has_head => &[Sample::Embedding],
            Role::Embedding => &[Sample::Embedding, Sample::Head],
            Role::Head => &[Sample::Head],
            Role::FinalNorm | Role::Layer { .. } => &[Sample::Layer],
        };
        let Some(all) = expected.matrix().map(|[rows, _]| rows) else { return Ok(()) };
        let Some(way) = way(weight) else { return Ok(()) };
        for &of in uses {
            if self.seen.contains(&(of, way)) {
                continue;
            }
            self.seen.push((of, way));
            let rescue_rows = stored::rescue_rows(self.plan, weight, files).await?;
            let first = rescue_rows.first_chunk::<4>().map_or(0, |row| u64::from(u32::from_le_bytes(*row)));
            // About a rescue row, if there is one; heads whose rows are turned stay whole.
            let turned = turned_heads(&self.plan.decoder, self.plan.convention, expected.role);
            let rows = turned.map_or(ROWS, |head_dim| ROWS.next_multiple_of(head_dim as u64)).min(all);
            let start = if turned.is_some() { 0 } else { first.saturating_sub(ROWS / 2).min(all - rows) };
            let some = stored::rows(self.plan, weight, start..start + rows, &rescue_rows, files).await?;
            self.found.push((of, some.decode(self.plan, forms)?));
        }
        Ok(())
    }
}

fn way(weight: &Weight) -> Option<Way> {
    match &weight.stored {
        Stored::Plain { dtype, .. } => Some(Way::Dense(*dtype)),
        Stored::Bitpacked(layout) => {
            Some(Way::Bitpacked(layout.bases(), layout.scale_group(), layout.rescued() > 0))
        }
        Stored::Coded(_) | Stored::Misfit { .. } => None,
    }
}
