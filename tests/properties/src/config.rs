//! config.json -> decoder -> manifest.

use std::collections::HashSet;

use bitgauge_core::contract::python::Value;
use bitgauge_core::model::{Architecture, Config, Manifest, Presence};

use crate::Outcome;

/// Most layers whose tensors are listed: more take no other way.
const LAYERS: usize = 64;

/// Spaces and the order of keys change nothing; every tensor of the manifest is found by its name; what is counted is
/// the sum of what is listed.
pub fn check(input: &[u8]) -> Outcome {
    let Ok(config) = Config::parse(input) else { return Outcome::Refused };
    let text = std::str::from_utf8(input).expect("a text, since it was read");
    // Python gives up on integers of thousands of digits.
    if let Ok(value) = Value::parse(text) {
        let pretty = Config::parse(value.to_pretty().as_bytes());
        assert_eq!(pretty.as_ref(), Ok(&config), "spaces changed what is read");
    }
    let Architecture::Decoder(decoder) = config.architecture() else { return Outcome::Accepted };
    if decoder.layers.len() > LAYERS {
        return Outcome::Accepted;
    }
    let manifest = Manifest::of(decoder);
    let mut names = HashSet::new();
    let mut parameters = 0_u128;
    for tensor in manifest.tensors() {
        assert!(names.insert(&tensor.name), "{} twice", tensor.name);
        assert_eq!(manifest.get(&tensor.name), Some(tensor));
        assert!(!tensor.shape.contains(&0), "{tensor:?}");
        let elements: u128 = tensor.shape.iter().map(|&dim| u128::from(dim)).product();
        assert_eq!(elements, tensor.elements().into());
        parameters += if tensor.presence == Presence::Required { elements } else { 0 };
    }
    assert_eq!(parameters, manifest.parameter_count().into());
    Outcome::Accepted
}
