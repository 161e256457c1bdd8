//! From config.json to the tensors that a model must consist of.
//!
//! [`Config::parse`] reads the file, [`Config::architecture`] says which family it describes, and
//! [`Manifest::new`] lists that family's tensors: name, shape and role. A family that is not known
//! here is not an error, only [`Architecture::Unknown`]: its artifact can still be measured.

mod arch;
mod checks;
mod config;
mod earlier;
mod family;
mod fields;
mod generation;
mod manifest;
mod quantization;
mod rotary;
mod transformers;

pub use crate::format::QuantConfig;
pub use arch::{Architecture, Decoder, DeltaNet, LayerType};
pub use checks::Loading;
pub use config::Config;
pub use family::{Family, FamilyDefaults};
pub(crate) use generation::{GENERATION, GENERATION_BYTES, check as check_generation};
pub use manifest::{ExpectedTensor, LayerPart, Manifest, Presence, Role};
pub use quantization::{CodedConfig, Quantization};
pub use rotary::{Llama3Scaling, Rotary, RotaryScaling, YarnScaling};
pub use transformers::{TOKENIZER_FILES, Transformers};
