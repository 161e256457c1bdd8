//! What transformers 4.57 does otherwise with a model's tensors, as far as it leaves open what is loaded.

use std::collections::HashSet;

use serde_json::Value;

use super::{Inventory, Weight};
use crate::format::LOADER_CLASS;

impl Inventory<'_> {
    /// Notes what is not modelled of 4.57. The packer's loader does without transformers' own.
    pub(super) fn doubt_earlier(&mut self) {
        let is_under_own_name =
            |weight: &Weight| weight.expected.as_ref().is_none_or(|expected| expected.name == weight.name);
        let is_renamed = !self.weights.iter().all(is_under_own_name);
        let is_indexed = self.index_names_all();
        let Some(config) = &mut self.config else { return };
        if config.bitpacked().is_some() && config.model_code.as_deref() == Some(LOADER_CLASS) {
            return;
        }
        for (is_one, what) in
            [(is_renamed, "weights under other names"), (!is_indexed, "weights that the index leaves out")]
        {
            if is_one {
                config
                    .loading
                    .doubts
                    .push(format!("what transformers 4.57 does with {what} is not modelled"));
            }
        }
    }

    /// Whether an index names just the tensors that are there: those that it leaves out are not loaded by 4.57.
    fn index_names_all(&self) -> bool {
        let Some(index) = &self.artifact.index else { return true };
        let index: Value = serde_json::from_slice(index).unwrap_or_default();
        let Some(map) = index.get("weight_map").and_then(Value::as_object) else { return false };
        let there: HashSet<&str> = self.artifact.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        there.len() == map.len() && map.keys().all(|name| there.contains(name.as_str()))
    }
}
