//! Safetensors and GGUF files.

use bitgauge_core::Dtype;
use bitgauge_core::container::{Artifact, ContainerKind};
use bitgauge_core::model::Config;
use safetensors::SafeTensors;

use crate::Outcome;
use crate::artifact::Files;
use crate::pieces::Cuts;

/// A safetensors file, and what the `safetensors` crate makes of it.
pub fn check_safetensors(input: &[u8]) -> Outcome {
    match Files::single("a.safetensors", input).check(&mut Cuts::of(input)) {
        Some(artifact) if artifact.kind == ContainerKind::Safetensors => {
            compare_safetensors(input, &artifact);
            Outcome::Accepted
        }
        _ => Outcome::Refused,
    }
}

fn compare_safetensors(input: &[u8], artifact: &Artifact) {
    let theirs = SafeTensors::deserialize(input).expect("safetensors to the crate, too");
    assert_eq!(theirs.len(), artifact.tensors.len());
    for ours in &artifact.tensors {
        let theirs = theirs.tensor(&ours.name).expect("a tensor to the crate, too");
        assert_eq!(Dtype::from_name(&theirs.dtype().to_string()), Some(ours.dtype));
        let shape: Vec<u64> = theirs.shape().iter().map(|&dim| dim as u64).collect();
        assert_eq!(shape, ours.shape);
        let bytes = &input[ours.offset as usize..][..ours.bytes as usize];
        assert!(theirs.data() == bytes, "{} has other bytes to the crate", ours.name);
    }
}

/// A GGUF file: its tensors and its header are all of it, and what is made of its metadata can be read.
pub fn check_gguf(input: &[u8]) -> Outcome {
    let Some(artifact) = Files::single("a.gguf", input).check(&mut Cuts::of(input)) else {
        return Outcome::Refused;
    };
    if artifact.kind != ContainerKind::Gguf {
        return Outcome::Refused;
    }
    let tensors: u64 = artifact.tensors.iter().map(|tensor| tensor.bytes).sum();
    let headers: u64 =
        artifact.members.iter().flat_map(|member| &member.header).map(|header| header.bytes).sum();
    assert_eq!(tensors + headers, input.len() as u64);
    let config = artifact.config.as_ref().expect("a config.json of a GGUF file");
    assert!(is_json(config), "{}", String::from_utf8_lossy(config));
    let _ = Config::parse(config);
    let metadata = artifact.gguf.as_ref().expect("the metadata of a GGUF file");
    if let Some(Ok(tokenizer)) = metadata.tokenizer() {
        assert!(is_json(&tokenizer), "{}", String::from_utf8_lossy(&tokenizer));
        assert_eq!(metadata.tokenizer(), Some(Ok(tokenizer)), "another tokenizer each time");
    }
    Outcome::Accepted
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes).is_ok()
}
