//! From a list of tensors to the weights of a scheme's model.

use std::collections::{HashMap, HashSet};

use super::{Piece, Pieces, Scheme};
use crate::container::TensorEntry;
use crate::format::{Doubled, Form, Grouping, StoredWeight};

/// Assigns each tensor to a weight: those beside a packed module to its weight, every other one to itself.
pub fn group(tensors: &[TensorEntry], scheme: &Scheme) -> Grouping {
    let index_of: HashMap<&str, usize> =
        tensors.iter().enumerate().map(|(index, tensor)| (tensor.name.as_str(), index)).collect();
    let mut owner: Vec<Option<(usize, Piece)>> = vec![None; tensors.len()];
    let mut modules: Vec<(&str, Pieces)> = Vec::new();
    for tensor in tensors {
        let Some(module) = module_of(&tensor.name, scheme.suffix(Piece::Scales)) else { continue };
        let find = |suffix: &str| index_of.get(format!("{module}.{suffix}").as_str()).copied();
        if find(scheme.suffix(Piece::Codes)).is_none() {
            continue;
        }
        let mut pieces = Pieces::default();
        for slot in scheme.slots.iter() {
            if let Some(index) = find(&slot.suffix) {
                owner[index] = Some((modules.len(), slot.piece));
                pieces.0.push((slot.piece, index));
            }
        }
        modules.push((module, pieces));
    }
    let mut grouping = Grouping::default();
    let mut is_out = vec![false; modules.len()];
    for (index, tensor) in tensors.iter().enumerate() {
        let (name, form) = match owner[index] {
            None => (tensor.name.clone(), Form::Plain { index }),
            Some((module, _)) if is_out[module] => continue,
            Some((module, _)) => {
                is_out[module] = true;
                (format!("{}.weight", modules[module].0), Form::Coded { pieces: modules[module].1.clone() })
            }
        };
        let name = name.strip_prefix(scheme.prefix).unwrap_or(&name).to_owned();
        grouping.weights.push(StoredWeight { name, form });
    }
    set_aside_doubled(&mut grouping);
    grouping
}

fn module_of<'n>(name: &'n str, suffix: &str) -> Option<&'n str> {
    name.strip_suffix(suffix)?.strip_suffix('.')
}

/// A weight that is stored both ways counts once, as it comes first.
fn set_aside_doubled(grouping: &mut Grouping) {
    let mut seen = HashSet::new();
    for weight in std::mem::take(&mut grouping.weights) {
        if seen.insert(weight.name.clone()) {
            grouping.weights.push(weight);
        } else {
            let surplus = weight.form.tensors();
            grouping.doubled.push(Doubled { name: weight.name, surplus });
        }
    }
}
