//! Figures by layer: sizes, and what the stored values add up to.

use std::collections::BTreeMap;

use crate::format::Statistics;
use crate::inventory::{Inventory, Stored};
use crate::model::Role;
use crate::report::{LayerSummary, Octave, ValueSummary};
use crate::scan::Findings;

/// One layer while its weights are added up.
#[derive(Default)]
struct Sums {
    parameters: u64,
    rescue_parameters: u64,
    bits: u64,
    signs: u64,
    statistics: Statistics,
}

/// The weights outside the layers first, then layer by layer; nothing for an unknown architecture.
pub(super) fn summaries(inventory: &Inventory, findings: Option<&Findings>) -> Vec<LayerSummary> {
    if inventory.opaque.is_some() {
        return Vec::new();
    }
    let mut layers: BTreeMap<Option<u32>, Sums> = BTreeMap::new();
    for (index, weight) in inventory.weights.iter().enumerate() {
        let Some(expected) = &weight.expected else { continue };
        let layer = match expected.role {
            Role::Layer { layer, .. } => Some(layer),
            _ => None,
        };
        let sums = layers.entry(layer).or_default();
        sums.add(&weight.stored);
        if let Some(statistics) = findings.and_then(|f| f.weights.get(index)) {
            sums.statistics.merge(statistics);
        }
    }
    layers.into_iter().map(|(layer, sums)| sums.summary(layer, findings.is_some())).collect()
}

impl Sums {
    fn add(&mut self, stored: &Stored) {
        self.parameters += stored.parameters();
        self.rescue_parameters += stored.rescue_parameters();
        self.bits += stored.bits();
        self.signs += stored.sign_bits();
    }

    fn summary(self, layer: Option<u32>, read: bool) -> LayerSummary {
        let statistics = &self.statistics;
        let values = (read && statistics.scales > 0).then(|| ValueSummary {
            signs: self.signs,
            plus: statistics.plus,
            scales: statistics.scales,
            scale_mean: statistics.scale_sum / statistics.scales as f64,
            scale_min: statistics.scale_min,
            scale_max: statistics.scale_max,
            octaves: statistics.octaves().map(|(exponent, scales)| Octave { exponent, scales }).collect(),
        });
        LayerSummary {
            layer,
            parameters: self.parameters,
            rescue_parameters: self.rescue_parameters,
            bits: self.bits,
            values,
        }
    }
}
