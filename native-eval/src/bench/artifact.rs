//! A random model as an artifact: what loading is timed with.

use std::fs;
use std::path::Path;

use bitgauge_core::format::{Layout, Part, encode};
use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::{Architecture, Decoder, LayerType, Manifest, Presence};
use bitgauge_core::{Dtype, Error, ErrorKind, Matrix, Result};
use serde_json::{Value, json};

use super::{BenchOptions, Random, SCALE_GROUP, random_weight};
use crate::pack::{SmallFile, Stage, Target, TensorSpec, Writer, add_packing, part_name, write_error};
use crate::source::Source;

/// Opens the artifact at `path`, which is written first if it is not there: the model of `options` with
/// random weights, a folder or, where the name ends in `.zip`, a zip.
pub(super) fn open(options: &BenchOptions, path: &Path) -> Result<Source> {
    if fs::symlink_metadata(path).is_err() {
        write(options, path)?;
    }
    let source = Source::open(path)?;
    let inventory = Inventory::of(source.artifact())?;
    match inventory.config.as_ref().map(|config| config.architecture()) {
        Some(Architecture::Decoder(found)) if sizes(found) == sizes(&options.model) => {}
        _ => {
            return Err(Error::new(ErrorKind::WrongShape, "the artifact holds another model")
                .within(path.display())
                .expected_found(format!("the shape {}", options.name), "another")
                .hint("name a file that does not exist yet, and it is written"));
        }
    }
    Ok(source)
}

fn sizes(model: &Decoder) -> impl PartialEq {
    (model.family, model.hidden, model.intermediate, model.layers.clone(), model.vocabulary, model.tied)
}

/// Writes the model one weight at a time.
fn write(options: &BenchOptions, path: &Path) -> Result<()> {
    let target = Target::check(path, false, &[])?;
    let stage = Stage::beside(&target)?;
    let text = serde_json::to_vec_pretty(&config_json(&options.model))
        .map_err(|error| write_error(path, &error.into()))?;
    let config = SmallFile { name: "config.json".into(), bytes: add_packing(&text, SCALE_GROUP as usize)? };

    let file = stage.weights();
    let failed = |error| write_error(&file, &error);
    let manifest = Manifest::of(&options.model);
    let tensors = || manifest.tensors().iter().filter(|tensor| tensor.presence != Presence::TiedCopy);
    let mut specs = Vec::new();
    for tensor in tensors() {
        let Some([rows, cols]) = tensor.matrix() else {
            specs.push(TensorSpec {
                name: tensor.name.clone(),
                dtype: Dtype::F32,
                shape: tensor.shape.clone(),
            });
            continue;
        };
        let layout = Layout::new(rows, cols, 1, 0, SCALE_GROUP)?;
        specs.extend(Part::ALL.into_iter().filter(|part| layout.has(*part)).map(|part| TensorSpec {
            name: part_name(&tensor.name, part),
            dtype: part.dtype(),
            shape: layout.shape(part),
        }));
    }
    let mut writer = Writer::create(&file, specs).map_err(failed)?;
    let mut random = Random::new();
    for tensor in tensors() {
        match random_weight(tensor, &mut random)? {
            Matrix::Bitpacked(packed) => {
                for (part, bytes) in encode(&packed).iter().filter(|(part, _)| packed.layout.has(*part)) {
                    writer.write(&part_name(&tensor.name, part), 0, bytes).map_err(failed)?;
                }
            }
            dense => {
                let bytes: Vec<u8> = dense.to_f32().into_iter().flat_map(f32::to_le_bytes).collect();
                writer.write(&tensor.name, 0, &bytes).map_err(failed)?;
            }
        }
    }
    writer.finish().map_err(failed)?;
    stage.publish(&target, &[config], None).map(drop)
}

/// The config.json of a model.
fn config_json(model: &Decoder) -> Value {
    let mut config = json!({
        "model_type": model.family.decoder_type(),
        "hidden_size": model.hidden,
        "intermediate_size": model.intermediate,
        "num_hidden_layers": model.layers.len(),
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_dim,
        "vocab_size": model.vocabulary,
        "tie_word_embeddings": model.tied,
        "rms_norm_eps": model.rms_norm_eps,
        "rope_theta": model.rotary.theta,
        "hidden_act": "silu",
    });
    if let Some(sizes) = model.delta_net {
        let layer_type = |layer_type: &LayerType| match layer_type {
            LayerType::FullAttention => "full_attention",
            LayerType::LinearAttention => "linear_attention",
        };
        config["layer_types"] = model.layers.iter().map(layer_type).collect();
        config["attn_output_gate"] = json!(true);
        config["partial_rotary_factor"] = json!(model.rotary.channels as f64 / model.head_dim as f64);
        config["linear_num_key_heads"] = json!(sizes.key_heads);
        config["linear_num_value_heads"] = json!(sizes.value_heads);
        config["linear_key_head_dim"] = json!(sizes.key_dim);
        config["linear_value_head_dim"] = json!(sizes.value_dim);
        config["linear_conv_kernel_dim"] = json!(sizes.taps);
    }
    config
}
