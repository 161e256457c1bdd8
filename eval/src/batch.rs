//! Documents laid end to end: what goes through a model together.

use std::ops::Range;

use bitgauge_core::{Error, ErrorKind, Result};

/// Marks a token that has no next one to predict.
pub const NO_TARGET: u32 = u32::MAX;

/// Documents laid end to end, without padding. Right padding could not change a real token under a causal mask.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    /// Token ids, `[T]`.
    pub ids: Vec<u32>,
    /// The id that follows each token, [`NO_TARGET`] at the end of a document, `[T]`.
    pub targets: Vec<u32>,
    positions: Vec<u32>,
    documents: Vec<Range<usize>>,
}

impl Batch {
    /// These documents, in order.
    pub fn of<'d>(documents: impl IntoIterator<Item = &'d [u32]>) -> Self {
        let mut batch = Self::default();
        documents.into_iter().for_each(|ids| batch.push(ids));
        batch
    }

    /// Appends one document.
    pub fn push(&mut self, ids: &[u32]) {
        self.documents.push(self.tokens()..self.tokens() + ids.len());
        self.positions.extend(0..ids.len() as u32);
        self.ids.extend_from_slice(ids);
        self.targets.extend(ids.iter().skip(1));
        self.targets.extend((!ids.is_empty()).then_some(NO_TARGET));
    }

    /// Tokens T.
    pub fn tokens(&self) -> usize {
        self.positions.len()
    }

    /// Index of each token within its own document, `[T]`.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// The tokens of each document.
    pub fn documents(&self) -> &[Range<usize>] {
        &self.documents
    }

    /// Fails unless every id is one of the rows of an embedding.
    pub(crate) fn check_ids(&self, rows: usize) -> Result<()> {
        check("embed", self.ids.iter(), rows)
    }

    /// Fails unless every target is one of the rows of a head.
    pub(crate) fn check_targets(&self, rows: usize) -> Result<()> {
        check("head_loss", self.targets.iter().filter(|target| **target != NO_TARGET), rows)
    }

    /// The sum of each document's losses in nats, given one per token.
    pub fn nats<'a>(&'a self, losses: &'a [f32]) -> impl Iterator<Item = f64> + 'a {
        self.documents
            .iter()
            .map(|document| losses[document.clone()].iter().map(|&loss| f64::from(loss)).sum())
    }
}

fn check<'a>(operation: &str, mut ids: impl Iterator<Item = &'a u32>, rows: usize) -> Result<()> {
    match ids.find(|id| **id as usize >= rows) {
        None => Ok(()),
        Some(id) => Err(Error::new(ErrorKind::BadValue, "a token id is not one of the matrix's rows")
            .within(operation)
            .expected_found(format!("an id below {rows}"), format!("id {id}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_lie_end_to_end() {
        let batch = Batch::of([&[7, 8, 9][..], &[], &[5]]);
        assert_eq!(batch.ids, [7, 8, 9, 5]);
        assert_eq!(batch.positions(), [0, 1, 2, 0]);
        assert_eq!(batch.targets, [8, 9, NO_TARGET, NO_TARGET]);
        assert_eq!(batch.documents(), [0..3, 3..3, 3..4]);
        assert_eq!(batch.nats(&[0.5, 0.25, 0.0, 4.0]).collect::<Vec<_>>(), [0.75, 0.0, 4.0]);
    }
}
