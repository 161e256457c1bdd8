//! Gates and weights of two reports, matched by name.

use crate::order;
use crate::report::{Gate, Report, WeightSummary};

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
    let mut by_name: Vec<&WeightSummary> = right.weights.iter().collect();
    order::sort_by(&mut by_name, |a, b| a.name.cmp(&b.name));
    let find = |weight: &WeightSummary| by_name.binary_search_by(|other| other.name.cmp(&weight.name)).ok();
    let mut matched = vec![false; by_name.len()];
    let mut pairs = Vec::new();
    for weight in &left.weights {
        let index = find(weight);
        index.into_iter().for_each(|index| matched[index] = true);
        let other = index.map(|index| by_name[index]);
        if other != Some(weight) {
            pairs.push([Some(weight), other]);
        }
    }
    let only_right = right.weights.iter().filter(|weight| find(weight).is_some_and(|index| !matched[index]));
    pairs.extend(only_right.map(|weight| [None, Some(weight)]));
    Some(pairs)
}
