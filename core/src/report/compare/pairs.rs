//! Gates, weights and tensors of two reports, matched by name.

use crate::order;
use crate::report::{Gate, Report, TensorSummary, WeightSummary};

/// What both reports say of one thing, or one of them.
pub type Pair<'r, T> = [Option<&'r T>; 2];

/// All gates, the left report's order first.
pub fn gates<'r>(left: &'r Report, right: &'r Report) -> Vec<Pair<'r, Gate>> {
    let find = |report: &'r Report, gate: &Gate| report.gates.iter().find(|other| other.id == gate.id);
    let mut pairs: Vec<_> = left.gates.iter().map(|gate| [Some(gate), find(right, gate)]).collect();
    let only_right = right.gates.iter().filter(|gate| find(left, gate).is_none());
    pairs.extend(only_right.map(|gate| [None, Some(gate)]));
    pairs
}

/// The weights that differ in anything, the left report's order first; nothing when a report does not list its
/// weights, as one from a link.
pub fn weights<'r>(left: &'r Report, right: &'r Report) -> Option<Vec<Pair<'r, WeightSummary>>> {
    if left.weights.is_empty() || right.weights.is_empty() {
        return None;
    }
    Some(differing([&left.weights, &right.weights], |weight| &weight.name))
}

/// The stored tensors that differ in type, shape or bytes; nothing when a report was made without their hashes.
pub fn tensors<'r>(left: &'r Report, right: &'r Report) -> Option<Vec<Pair<'r, TensorSummary>>> {
    Some(differing([left.tensors.as_ref()?, right.tensors.as_ref()?], |tensor| &tensor.name))
}

/// What is not the same on both sides, matched by name.
fn differing<'r, T: PartialEq>([left, right]: [&'r [T]; 2], name: fn(&T) -> &str) -> Vec<Pair<'r, T>> {
    let mut by_name: Vec<&T> = right.iter().collect();
    order::sort_by(&mut by_name, |a, b| name(a).cmp(name(b)));
    let find = |item: &T| by_name.binary_search_by(|other| name(other).cmp(name(item))).ok();
    let mut matched = vec![false; by_name.len()];
    let mut pairs = Vec::new();
    for item in left {
        let index = find(item);
        index.into_iter().for_each(|index| matched[index] = true);
        let other = index.map(|index| by_name[index]);
        if other != Some(item) {
            pairs.push([Some(item), other]);
        }
    }
    let only_right = right.iter().filter(|item| find(item).is_some_and(|index| !matched[index]));
    pairs.extend(only_right.map(|item| [None, Some(item)]));
    pairs
}
