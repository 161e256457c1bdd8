//! The Python code that lets transformers load a packed model, and how config.json names it.

/// The code, which `bitgauge pack` writes beside the weights.
pub const LOADER: &str = include_str!("modeling_bitpack.py");
/// SHA-256 of the code in hex.
pub const LOADER_SHA256: &str = "039ad0a1fc5ab7e22e5fc74418294c6667da74c49ba56e5ceaedca4ed5b613e9";
/// Its file name.
pub const LOADER_FILE: &str = "modeling_bitpack.py";
/// What `auto_map.AutoModelForCausalLM` of config.json says.
pub const LOADER_CLASS: &str = "modeling_bitpack.BitpackForCausalLM";

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    #[test]
    fn the_hash_is_that_of_the_code() {
        assert_eq!(crate::scan::hex(Sha256::new_with_prefix(super::LOADER)), super::LOADER_SHA256);
    }
}
