//! Dense model folders, written: of given tensors, or of random ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bitgauge_core::model::{Config, ExpectedTensor, Manifest, Presence};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

/// A file's tensors: type, shape and bytes of each.
pub type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// A tensor of f32.
pub fn f32_tensor(shape: &[usize], values: &[f32]) -> (Dtype, Vec<usize>, Vec<u8>) {
    (Dtype::F32, shape.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// Writes a safetensors file.
///
/// # Errors
/// A shape that does not fit its bytes; what the disk says.
pub fn save(to: &Path, tensors: &Tensors) -> Result<(), String> {
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(|e| e.to_string())?;
        Ok((name.clone(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, String>>()?;
    safetensors::serialize_to_file(views, None, to).map_err(|e| e.to_string())
}

/// Writes a model folder.
///
/// # Errors
/// As [`save`].
pub fn write_model(to: &Path, config: &str, tensors: &Tensors) -> Result<(), String> {
    fs::create_dir_all(to).map_err(|e| e.to_string())?;
    fs::write(to.join("config.json"), config).map_err(|e| e.to_string())?;
    save(&to.join("model.safetensors"), tensors)
}

/// Writes a model with the config.json of `like`, but for some `sizes`, whose elements are what `value` gives for their
/// tensor. Returns that config.json.
///
/// # Errors
/// A config.json without a manifest; as [`save`].
pub fn write_random_model(
    like: &Path,
    to: &Path,
    sizes: &[(&str, u64)],
    mut value: impl FnMut(&Value, &ExpectedTensor) -> f32,
) -> Result<Value, String> {
    let text = fs::read_to_string(like.join("config.json")).map_err(|e| e.to_string())?;
    let mut config: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    sizes.iter().for_each(|(field, size)| config[*field] = (*size).into());
    let text = config.to_string();
    let parsed = Config::parse(text.as_bytes()).map_err(|e| e.to_string())?;
    let manifest = Manifest::new(parsed.architecture()).ok_or("no manifest")?;
    let stored = manifest.tensors().iter().filter(|tensor| tensor.presence == Presence::Required);
    let tensors = stored.map(|tensor| {
        let values: Vec<f32> = (0..tensor.elements()).map(|_| value(&config, tensor)).collect();
        let shape: Vec<usize> = tensor.shape.iter().map(|&dim| dim as usize).collect();
        (tensor.name.clone(), f32_tensor(&shape, &values))
    });
    write_model(to, &text, &tensors.collect())?;
    Ok(config)
}
