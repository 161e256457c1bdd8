//! Writes the files of the packed model into a folder.

use std::fs;
use std::path::Path;

use bitgauge_core::codec::{LOADER, LOADER_FILE, decode_dense, encode, quantize};
use bitgauge_core::{Result, limits};

use super::PackSettings;
use super::plan::{Action, Plan, Planned, part_name};
use super::safetensors::Writer;
use super::stage::write_error;
use crate::source::Source;

/// The weights of the packed model: always one file.
const WEIGHTS: &str = "model.safetensors";
/// What belongs to a tokenizer, if the source has it.
const TOKENIZER_FILES: [&str; 8] = [
    "added_tokens.json",
    "chat_template.jinja",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
];

/// Writes config.json, the code that transformers loads the model with, the tokenizer's files and the weights into `folder`.
pub(super) fn write(
    source: &mut Source,
    plan: &Plan,
    config: &[u8],
    settings: &PackSettings,
    folder: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let write_file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|error| write_error(&path, &error))
    };
    write_file("config.json", config)?;
    write_file(LOADER_FILE, LOADER.as_bytes())?;
    for name in TOKENIZER_FILES {
        if let Some(member) = source.artifact().find_beside_config(name) {
            write_file(name, &source.read_member(member, limits::TOKENIZER_BYTES)?)?;
        }
    }
    write_weights(source, plan, settings, &folder.join(WEIGHTS), progress)
}

fn write_weights(
    source: &mut Source,
    plan: &Plan,
    settings: &PackSettings,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let failed = |error| write_error(path, &error);
    let mut writer = Writer::create(path, plan.output()).map_err(failed)?;
    for Planned { tensor, action, unreported } in &plan.tensors {
        let bytes = source.read_tensor(tensor)?;
        match action {
            Action::Keep => writer.write(&tensor.name, &bytes).map_err(failed)?,
            Action::Pack { layout, rescue_rows } => {
                let shape = [layout.rows(), layout.cols()];
                let matrix = decode_dense(&tensor.name, tensor.dtype, shape, &bytes)?;
                drop(bytes);
                let packed = quantize(&matrix, rescue_rows, settings.codec())
                    .map_err(|error| error.within(&tensor.name))?;
                for (part, bytes) in encode(&packed).iter().filter(|(part, _)| layout.has(*part)) {
                    writer.write(&part_name(&tensor.name, part), bytes).map_err(failed)?;
                }
            }
        }
        progress(*unreported);
    }
    writer.finish().map_err(failed)
}
