//! Whether transformers would load the model: the code that config.json names, and files that have no
//! place in an artifact.

use std::collections::HashSet;

use crate::container::{ContainerKind, Member, names};
use crate::format::layouts::{Coded, Count};
use crate::format::{Form, LOADER_CLASS, LOADER_FILE, LOADER_SHA256, OLD_LOADER_SHA256};
use crate::inventory::{Inventory, Stored, Weight};
use crate::model::{Presence, Role};
use crate::scan::Findings;
use crate::tensor::Dtype;

/// Files of weights, in the order in which transformers looks for them.
const WEIGHTS: [&str; 2] = ["model.safetensors", "model.safetensors.index.json"];
/// Code for text generation that transformers runs, whatever config.json names.
const GENERATION_CODE: &str = "custom_generate/generate.py";
/// Where an adapter of the peft library is described.
const ADAPTER: &str = "adapter_config.json";

/// How the names begin of files that transformers may read as a checkpoint of many processes.
const DISTRIBUTED: &str = "shard-";

/// What hqq saves a model's weights to.
const HQQ: &str = "qmodel.pt";

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
            faults.push("a bare safetensors file is not a submission: it has no config.json".to_owned());
        }
        ContainerKind::Gguf => faults.push(
            "a GGUF file is not a submission: transformers loads folders and archives of them".to_owned(),
        ),
        ContainerKind::Folder | ContainerKind::Zip | ContainerKind::Tar if artifact.gguf.is_some() => {
            faults.push(
                "there is no config.json: transformers does not load a folder of GGUF files".to_owned(),
            );
        }
        ContainerKind::Folder | ContainerKind::Zip | ContainerKind::Tar | ContainerKind::Json => {}
    }
    // Other code than the packer's may read its weights from any file.
    let code = inventory.config.as_ref().and_then(|config| config.model_code.as_deref());
    let has_own_code = code.is_some_and(|code| code != LOADER_CLASS);
    if artifact.find_beside_config(HQQ).is_some() && weights_file(inventory).is_none() {
        faults.push(format!(
            "{HQQ} is a pickle of hqq, which transformers does not look for; pickles are never opened here"
        ));
    } else if artifact.tensors.is_empty() {
        faults.push("no safetensors weights were found".to_owned());
    } else if artifact.model_dir.is_some() && !has_own_code && weights_file(inventory).is_none() {
        faults.push(format!("transformers looks for {} or {}, which are not there", WEIGHTS[0], WEIGHTS[1]));
    }
    let Some(config) = &inventory.config else { return faults };
    // An own class of configurations checks what it likes.
    if config.config_code.is_none() {
        faults.extend(config.loading.faults.iter().cloned());
    }
    if inventory.quant_method() == Some("hqq") {
        faults.push("transformers 5.24 can't load the weights of hqq".to_owned());
    }
    if let Some(coded) = config.coded() {
        let of_weights = inventory.coded().find_map(Coded::fault);
        faults.extend(coded.scheme.fault.or(of_weights).map(str::to_owned));
    }
    let is_bitpack = config.bitpacked().is_some();
    if is_bitpack && config.model_code.is_none() {
        faults.push(
            "config.json names no code that unpacks the weights: auto_map.AutoModelForCausalLM is missing"
                .into(),
        );
    }
    let codes = [&config.config_code, &config.model_code];
    faults.extend(codes.into_iter().flatten().filter_map(|code| code_fault(code, inventory)));
    if !is_bitpack && !has_own_code {
        faults.extend(artifact.index_faults.iter().cloned());
    }
    faults
}

/// Whether the model loads as the other gates take for granted, or why that is not known: what runs is not modelled here.
pub(crate) fn doubts(inventory: &Inventory, findings: Option<&Findings>) -> Vec<String> {
    let Some(config) = &inventory.config else { return Vec::new() };
    let mut doubts = config.loading.doubts.clone();
    doubts.extend(config.coded().and_then(|coded| coded.scheme.doubt).map(str::to_owned));
    doubts.extend(inventory.coded().find_map(Coded::doubt).map(str::to_owned));
    doubts.extend(contradiction(inventory));
    let unknown = |code: &str| format!("{code} runs when the model is loaded; what it does was not judged");
    doubts.extend(config.config_code.as_deref().map(unknown));
    let own_loader = config.bitpacked().is_some_and(|_| config.model_code.as_deref() == Some(LOADER_CLASS));
    let is_loader = |hash: &str| hash == LOADER_SHA256 || hash == OLD_LOADER_SHA256;
    let hash = hash_beside_config(inventory, findings, LOADER_FILE);
    match &config.model_code {
        Some(code) if !own_loader || hash.is_some_and(|hash| !is_loader(hash)) => doubts.push(unknown(code)),
        Some(_) if hash == Some(OLD_LOADER_SHA256) => doubts.extend(split_weights(inventory)),
        _ => {}
    }
    let dtype = |index: usize| inventory.artifact.tensors[index].dtype;
    if inventory.tied_pair.is_some_and(|[embedding, head]| dtype(embedding) != dtype(head)) {
        doubts.push("embedding and head are to be tied and are stored in two data types".to_owned());
    }
    if !own_loader && has_generation_code(inventory) {
        doubts.push(unknown(GENERATION_CODE));
    }
    let begins = |member: &Member| names::base(&member.name).starts_with(DISTRIBUTED);
    if !own_loader && inventory.artifact.members.iter().any(begins) {
        doubts.push(format!("transformers may take {DISTRIBUTED}… for the weights"));
    }
    if inventory.artifact.find_beside_config(ADAPTER).is_some() {
        doubts.push(format!("with {ADAPTER} it depends on what is installed which model transformers loads"));
    }
    doubts
}

/// A linear layer that is packed where transformers may expect a dense one, or the other way round.
fn contradiction(inventory: &Inventory) -> Option<String> {
    let coded = inventory.config.as_ref()?.coded()?;
    let is_other = |weight: &&Weight| {
        let Some(expected) = &weight.expected else { return false };
        let is_dense = !matches!(weight.form, Form::Coded { .. });
        let module = expected.name.strip_suffix(".weight").unwrap_or_default();
        expected.matrix().is_some()
            && expected.presence == Presence::Required
            && expected.role != Role::Embedding
            && coded.may_contradict(module, is_dense)
    };
    let weight = inventory.weights.iter().find(is_other)?;
    Some(["config.json may disagree on ", &weight.name].concat())
}

/// What the first version of the loader can't load: a packed weight whose parts lie in several files.
fn split_weights(inventory: &Inventory) -> Option<String> {
    let file = |index: &usize| inventory.artifact.tensors[*index].member;
    let split = inventory.weights.iter().find(|weight| match &weight.form {
        Form::Bitpacked { parts } => {
            let files =
                parts.iter().filter_map(|(_, index)| Some(file(index.as_ref()?))).collect::<HashSet<_>>();
            files.len() > 1
        }
        Form::Plain { .. } | Form::Coded { .. } => false,
    });
    split.map(|weight| {
        format!("the parts of {} lie in several files, which this {LOADER_FILE} can't load", weight.name)
    })
}

/// Whether there is code for text generation in its folder beside config.json.
fn has_generation_code(inventory: &Inventory) -> bool {
    let beside = inventory.artifact.model_dir.as_deref().unwrap_or_default();
    let is_code = |name: &str| name.trim_start_matches('/') == GENERATION_CODE;
    inventory.artifact.members.iter().any(|member| member.name.strip_prefix(beside).is_some_and(is_code))
}

/// The first of the files that transformers looks for.
fn weights_file(inventory: &Inventory) -> Option<usize> {
    WEIGHTS.iter().find_map(|name| inventory.artifact.find_beside_config(name))
}

/// SHA-256 of a file, where it is there and was read.
fn hash_beside_config<'f>(
    inventory: &Inventory,
    findings: Option<&'f Findings>,
    file: &str,
) -> Option<&'f str> {
    let index = inventory.artifact.find_beside_config(file)?;
    findings?.members.get(index)?.as_deref()
}

/// Which forward passes break where linear layers of BitNet are unpacked to another type than the rest is stored in.
fn mixed_types(inventory: &Inventory) -> Option<String> {
    let scheme = &inventory.config.as_ref()?.coded()?.scheme;
    if !scheme.rounds_inputs || scheme.count != Count::Full {
        return None;
    }
    let stored = |wanted: Dtype| {
        let is_wanted =
            |weight: &Weight| matches!(&weight.stored, Stored::Plain { dtype, .. } if *dtype == wanted);
        inventory.weights.iter().any(is_wanted)
    };
    let breaks = if stored(Dtype::BF16) {
        "As BF16 a forward pass fails on the CPU and on a GPU"
    } else if stored(Dtype::F16) {
        "As F16 a forward pass fails on the CPU, in float32, and works on a GPU, in float16"
    } else {
        "As F32 a forward pass works on the CPU, in float32, and fails on a GPU, in float16"
    };
    Some(format!(
        "The embedding, the norms and the head keep the type that they are stored in, and the linear layers take the \
         validator's. {breaks}."
    ))
}

/// Why transformers would not find a class that `auto_map` names.
fn code_fault(code: &str, inventory: &Inventory) -> Option<String> {
    if code.contains("--") {
        return Some(format!("auto_map names code of another repository: {code}"));
    }
    if code.split('.').count() != 2 {
        return Some(format!("auto_map names {code:.80}, which is not module.Class"));
    }
    let file = code_file(code);
    if inventory.artifact.find_beside_config(&file).is_none() {
        return Some(format!("auto_map names {code}, but there is no {file} beside config.json"));
    }
    None
}

/// The file of `module.Class`.
fn code_file(code: &str) -> String {
    format!("{}.py", code.rsplit_once('.').map_or(code, |(module, _)| module).replace('.', "/"))
}

/// What a user should know beyond the gates.
pub(crate) fn notes(inventory: &Inventory) -> Vec<String> {
    let mut notes = Vec::new();
    let named = inventory.config.as_ref().and_then(|config| config.model_code.as_deref()).map(code_file);
    let members = || inventory.artifact.members.iter().enumerate();
    let ending = |endings: &[&str]| -> Vec<&str> {
        let ends = |name: &str| endings.iter().any(|ending| name.to_ascii_lowercase().ends_with(ending));
        members().map(|(_, member)| member.name.as_str()).filter(|name| ends(name)).collect()
    };
    let coded = inventory.config.as_ref().and_then(|config| config.coded());
    notes.extend(coded.map(|coded| coded.scheme.note).filter(|note| !note.is_empty()).map(str::to_owned));
    notes.extend(mixed_types(inventory));
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
