//! From a list of tensors to the weights that they store.

use std::collections::HashMap;

use super::layout::QuantConfig;
use super::layouts::Pieces;
use super::part::{Part, Parts};
use crate::container::TensorEntry;

/// A weight of the artifact, in the form in which it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWeight {
    /// Its name before packing: `lm_head.weight`.
    pub name: String,
    /// Which tensors hold it.
    pub form: Form,
}

/// Which tensors hold a weight, as indices into the list given to [`group`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Up to five tensors; [`super::Layout::derive`] says whether they are the right ones.
    Bitpacked {
        /// Index of each part that is there.
        parts: Parts<Option<usize>>,
    },
    /// One tensor under the weight's own name.
    Plain {
        /// Its index.
        index: usize,
    },
    /// The tensors of another writer's format.
    Coded {
        /// Which they are.
        pieces: Pieces,
    },
}

impl Form {
    /// Indices of all its tensors, ascending.
    pub fn tensors(&self) -> Vec<usize> {
        let mut tensors: Vec<usize> = match self {
            Self::Bitpacked { parts } => parts.iter().filter_map(|(_, index)| *index).collect(),
            Self::Plain { index } => vec![*index],
            Self::Coded { pieces } => pieces.0.iter().map(|(_, index)| *index).collect(),
        };
        tensors.sort_unstable();
        tensors
    }
}

/// A weight that is stored more than once: in both forms, or a tensor of the same name twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubled {
    /// The weight's name before packing.
    pub name: String,
    /// Indices of the tensors beyond those in [`Grouping::weights`], ascending.
    pub surplus: Vec<usize>,
}

/// Every tensor of an artifact, assigned to a weight.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grouping {
    /// Each weight once, in the order of its first tensor. One that is stored twice appears in the
    /// form that comes first.
    pub weights: Vec<StoredWeight>,
    /// Weights that are stored more than once, in the order in which this was noticed. Together
    /// with `weights` they cover every tensor exactly once.
    pub doubled: Vec<Doubled>,
}

/// Assigns each tensor to a weight by its name. Names say nothing unless the model is packed:
/// without `packed` every tensor stands for itself.
pub fn group(tensors: &[TensorEntry], packed: Option<&QuantConfig>) -> Grouping {
    let mut grouping = Grouping::default();
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut doubled: HashMap<&str, usize> = HashMap::new();
    for (index, tensor) in tensors.iter().enumerate() {
        let split = packed.and_then(|_| Part::split_name(&tensor.name));
        let (name, part) = split.map_or((tensor.name.as_str(), None), |(name, part)| (name, Some(part)));
        let weight = match known.get(name) {
            Some(&at) => &mut grouping.weights[at],
            None => {
                known.insert(name, grouping.weights.len());
                grouping.weights.push(StoredWeight { name: name.to_owned(), form: new_form(index, part) });
                continue;
            }
        };
        let surplus = match (&mut weight.form, part) {
            (Form::Bitpacked { parts }, Some(part)) if parts[part].is_none() => {
                parts[part] = Some(index);
                false
            }
            _ => true,
        };
        if surplus {
            let at = *doubled.entry(name).or_insert_with(|| {
                grouping.doubled.push(Doubled { name: name.to_owned(), surplus: Vec::new() });
                grouping.doubled.len() - 1
            });
            grouping.doubled[at].surplus.push(index);
        }
    }
    grouping
}

fn new_form(index: usize, part: Option<Part>) -> Form {
    let Some(part) = part else { return Form::Plain { index } };
    let mut parts = Parts::default();
    parts[part] = Some(index);
    Form::Bitpacked { parts }
}
