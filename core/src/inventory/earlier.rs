//! What transformers 4.57 does otherwise with a model's tensors: what it refuses, and what leaves open what is loaded.

use std::collections::HashSet;

use serde_json::Value;

use super::{Inventory, Weight};
use crate::container::Member;
use crate::format::LOADER_CLASS;

/// What safetensors files may say that they were written for; files without metadata are taken, too.
const FORMATS: [&str; 4] = ["pt", "mlx", "flax", "tf"];
/// Those of them that 4.57 takes for weights of another library where the model is one file.
const FOREIGN: [&str; 2] = ["flax", "tf"];

impl Inventory<'_> {
    /// Notes what 4.57 refuses, and what is not modelled of it. The packer's loader does without transformers' own.
    pub(super) fn check_earlier(&mut self) {
        let is_under_own_name =
            |weight: &Weight| weight.expected.as_ref().is_none_or(|expected| expected.name == weight.name);
        let is_renamed = !self.weights.iter().all(is_under_own_name);
        let is_indexed = self.index_names_all();
        let formats: Vec<_> = self.artifact.members.iter().filter_map(format).collect();
        let is_other = |format: &&&str| !FORMATS.contains(*format);
        let is_foreign =
            self.artifact.index.is_none() && formats.iter().any(|format| FOREIGN.contains(format));
        let other_format = formats.iter().find(is_other).map(|format| {
            ["transformers 4.57 takes no safetensors file whose metadata names the format ", *format].concat()
        });
        let Some(config) = &mut self.config else { return };
        if config.bitpacked().is_some() && config.model_code.as_deref() == Some(LOADER_CLASS) {
            return;
        }
        config.loading.faults.extend(other_format);
        for (is_one, what) in [
            (is_renamed, "weights under other names"),
            (!is_indexed, "weights that the index leaves out"),
            (is_foreign, "weights of another library"),
        ] {
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

/// The format that the metadata of a safetensors file names; empty where it names none, nothing where there is no metadata.
fn format(member: &Member) -> Option<&str> {
    let metadata = member.header.as_ref()?.metadata.as_ref()?;
    Some(metadata.iter().find(|entry| entry.key == "format").map_or("", |entry| &entry.value))
}
