//! Plans that were written are read.

use super::*;
use crate::model::{Architecture, Config, Manifest};

fn decoder(config: &str) -> Decoder {
    let config = Config::parse(config.as_bytes()).unwrap();
    match config.architecture() {
        Architecture::Decoder(decoder) => decoder.clone(),
        other => panic!("{other:?}"),
    }
}

/// A file of each kind.
fn files() -> Vec<PlannedFile> {
    let range = |format| Some(CompressedRange { format, offset: 1 << 32, stored_bytes: 7, bytes: 1 << 40 });
    let kinds = [None, range(CompressionFormat::Deflate), range(CompressionFormat::Gzip)];
    (1..).zip(kinds).map(|(file, compressed)| PlannedFile { file, compressed }).collect()
}

/// A plan with every tensor of a model, vectors dense and matrices by turns dense, in blocks and packed.
fn plan(decoder: Decoder, convention: Convention) -> Plan {
    let manifest = Manifest::new(&Architecture::Decoder(decoder.clone())).unwrap();
    let (mut tensors, mut weights) = (Vec::new(), Vec::new());
    for (number, expected) in manifest.tensors().iter().enumerate() {
        let mut add = |bytes| {
            let offset = 1 << 33;
            tensors.push(PlannedTensor { name: format!("{number} \"\n"), file: number % 3, offset, bytes });
            tensors.len() - 1
        };
        let (stored, form) = match expected.matrix() {
            Some([rows, cols]) if number % 3 == 0 => {
                let layout = Layout::new(rows, cols, 1, 1, 32).unwrap();
                let parts = Parts::new([1, 2, 3, 4, 5].map(|bytes| (bytes != 3).then(|| add(bytes))));
                (Stored::Bitpacked(layout), Form::Bitpacked { parts })
            }
            _ => {
                let dtype = if number % 3 == 1 { Dtype::BF16 } else { Dtype::Block(BlockType::Q4K) };
                (Stored::Plain { dtype, shape: expected.shape.clone() }, Form::Plain { index: add(9) })
            }
        };
        let expected = ExpectedTensor { presence: Presence::Required, ..expected.clone() };
        weights.push(Weight { name: expected.name.clone(), expected: Some(expected), stored, form });
    }
    Plan { decoder, convention, files: files(), tensors, weights }
}

const QWEN3_5: &str = r#"{"model_type": "qwen3_5_text", "vocab_size": 64, "hidden_size": 32,
    "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 1,
    "head_dim": 16, "linear_num_key_heads": 1, "linear_num_value_heads": 2, "linear_key_head_dim": 16,
    "linear_value_head_dim": 16, "attention_bias": true, "rms_norm_eps": 1e-6}"#;
const LLAMA: &str = r#"{"model_type": "llama", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "attention_bias": true,
    "mlp_bias": true, "tie_word_embeddings": true, "rms_norm_eps": 0.1}"#;

#[test]
fn what_was_written_is_read() {
    let scalings = [
        None,
        Some(RotaryScaling::Linear(1.0 / 3.0)),
        Some(RotaryScaling::Divided(vec![0.1, 1.0, 3.3e-7])),
        Some(RotaryScaling::Llama3(Llama3Scaling {
            factor: 8.0,
            low: 1.0,
            high: 4.0,
            original_positions: 8192.0,
        })),
        Some(RotaryScaling::Yarn(YarnScaling { factor: 4.0, attention_factor: 1.1, low: 2.5, high: 7.0 })),
    ];
    let qwen3 = LLAMA.replace("llama", "qwen3");
    for (config, (_, convention)) in [QWEN3_5, LLAMA, &qwen3].into_iter().zip(CONVENTIONS) {
        for scaling in &scalings {
            let mut decoder = decoder(config);
            decoder.rotary.scaling.clone_from(scaling);
            let plan = plan(decoder, convention);
            assert_eq!(Plan::from_json(&plan.to_json()), Ok(plan));
        }
    }
}

#[test]
fn every_part_of_a_layer_has_a_name_of_its_own() {
    let mut names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), PARTS.len());
    let of_models = [QWEN3_5, LLAMA, &LLAMA.replace("llama", "qwen3")].map(|config| {
        let manifest = Manifest::new(&Architecture::Decoder(decoder(config))).unwrap();
        manifest.tensors().iter().map(|tensor| tensor.role).collect::<Vec<_>>()
    });
    let is_met = |part: LayerPart| {
        of_models.iter().flatten().any(|role| matches!(role, Role::Layer { part: of, .. } if *of == part))
    };
    for (name, part) in PARTS {
        assert!(is_met(part), "{name}");
    }
}

#[test]
fn other_texts_are_an_error() {
    let text = plan(decoder(LLAMA), Convention::Checkpoint).to_json();
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} in {text}");
        Plan::from_json(&text.replacen(from, to, 1))
    };
    for (from, to) in [
        ("{\"family\":\"llama\"", "{\"family\":\"gpt2\""),
        ("\"layer\":0", "\"layer\":1"),
        ("\"role\":\"q\"", "\"role\":\"x\""),
        ("\"dtype\":\"BF16\"", "\"dtype\":\"BF15\""),
        ("\"tensors\":[0", "\"tensors\":[9999"),
        ("\"format\":\"gzip\"", "\"format\":\"zstd\""),
        ("\"range\":[4294967296,7,", "\"range\":[7,"),
        ("\"file\":2,\"offset\"", "\"file\":3,\"offset\""),
        ("\"heads\":2", "\"heads\":-2"),
        ("\"stored\":[64,32,1,1,32]", "\"stored\":[64,32,1,65,32]"),
    ] {
        assert!(changed(from, to).is_err(), "{to}");
    }
    for text in ["", "{}", "[]", "null", &text[1..]] {
        assert!(Plan::from_json(text).is_err(), "{text}");
    }
}
