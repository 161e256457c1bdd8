//! The Python code that lets transformers load a packed model, and how config.json names it.

/// The code, which `bitgauge pack` writes beside the weights.
pub const LOADER: &str = include_str!("modeling_bitpack.py");
/// Its file name.
pub const LOADER_FILE: &str = "modeling_bitpack.py";
/// What `auto_map.AutoModelForCausalLM` of config.json says.
pub const LOADER_CLASS: &str = "modeling_bitpack.BitpackForCausalLM";
