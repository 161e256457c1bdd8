//! Whether transformers would load the model: the code that config.json names, and files that have no
//! place in an artifact.

use crate::container::{ContainerKind, names};
use crate::format::{LOADER_FILE, LOADER_SHA256};
use crate::inventory::Inventory;
use crate::model::Config;
use crate::scan::Findings;

/// Names of pickles, which run code when they are loaded.
const PICKLES: [&str; 6] = [".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"];
/// Names of programs, beside Python's.
const PROGRAMS: [&str; 7] = [".bat", ".dll", ".dylib", ".exe", ".js", ".sh", ".so"];

/// What keeps transformers from loading the model, a sentence each.
pub(crate) fn faults(inventory: &Inventory) -> Vec<String> {
    let artifact = inventory.artifact;
    let mut faults = Vec::new();
    match artifact.kind {
        ContainerKind::Safetensors => {
            faults.push("a bare safetensors file is no submission: it has no config.json".to_owned());
        }
        ContainerKind::Gguf => faults
            .push("a GGUF file is no submission: transformers loads folders and archives of them".to_owned()),
        ContainerKind::Folder | ContainerKind::Zip | ContainerKind::Tar | ContainerKind::Json => {}
    }
    if artifact.tensors.is_empty() {
        faults.push("no safetensors weights were found".to_owned());
    }
    let packed = inventory.config.as_ref().filter(|config| config.bitpacked().is_some());
    faults.extend(packed.and_then(|config| code_fault(config, inventory)));
    faults
}

/// Why transformers would not find the code that unpacks the weights.
fn code_fault(config: &Config, inventory: &Inventory) -> Option<String> {
    let Some(code) = &config.model_code else {
        return Some(
            "config.json names no code that unpacks the weights: auto_map.AutoModelForCausalLM is missing"
                .into(),
        );
    };
    if code.contains("--") {
        return Some(format!("auto_map names code of another repository: {code}"));
    }
    let file = code_file(code);
    let is_there = inventory.artifact.find_beside_config(&file).is_some();
    (!is_there).then(|| format!("auto_map names {code}, but there is no {file} beside config.json"))
}

/// The file of `module.Class`.
fn code_file(code: &str) -> String {
    format!("{}.py", code.rsplit_once('.').map_or(code, |(module, _)| module).replace('.', "/"))
}

/// What a user should know beyond the gates. `findings` tell the packer's own code from another's.
pub(crate) fn notes(inventory: &Inventory, findings: Option<&Findings>) -> Vec<String> {
    let mut notes = Vec::new();
    let named = inventory.config.as_ref().and_then(|config| config.model_code.as_deref()).map(code_file);
    let members = || inventory.artifact.members.iter().enumerate();
    let ending = |endings: &[&str]| -> Vec<&str> {
        let ends = |name: &str| endings.iter().any(|ending| name.to_ascii_lowercase().ends_with(ending));
        members().map(|(_, member)| member.name.as_str()).filter(|name| ends(name)).collect()
    };
    if let Some(why) = &inventory.opaque {
        notes.push(format!("Judged by sizes only: {why}."));
        if inventory.code_files().next().is_some() {
            let code: Vec<_> = inventory.code_files().collect();
            notes.push(format!(
                "The model's own code runs when it is loaded ({}). If it registers packed tensors as parameters, \
                 the validator counts those, and the model's own budget shrinks with the count.",
                code.join(", ")
            ));
        }
    } else if let Some(file) = &named {
        let index = inventory.artifact.find_beside_config(file);
        let hash = index.and_then(|index| findings?.members.get(index)?.as_deref());
        if file != LOADER_FILE || hash.is_some_and(|hash| hash != LOADER_SHA256) {
            notes.push(format!(
                "{file} is not the code that this version of `bitgauge pack` writes; whether transformers loads \
                 the model with it, and what it counts, was not judged."
            ));
        }
    }
    let other_code: Vec<&str> = (inventory.code_files())
        .filter(|path| inventory.opaque.is_none() && named.as_deref() != Some(names::base(path)))
        .collect();
    for (files, what) in [
        (
            other_code,
            "program code that config.json does not name; a tokenizer's runs only in the validator's revision 06fbbef",
        ),
        (
            ending(&PICKLES),
            "pickles, which run code when they are loaded; the weights are read from safetensors",
        ),
        (ending(&PROGRAMS), "programs, which have no place in a model"),
    ] {
        if !files.is_empty() {
            notes.push(format!("The artifact holds {what}: {}.", files.join(", ")));
        }
    }
    notes
}
