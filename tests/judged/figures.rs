//! Sizes of weights, layers and buckets.

use bitgauge_core::accounting::Bucket;
use bitgauge_core::container::Root;
use bitgauge_core::report::{Octave, Report, Verdict};
use conformance::{GgmlType, GgufFile, Meta};

use crate::model::{Model, PARAMETERS, report};

/// The first layer packed in every way that there is; its norms in other types.
pub fn packed() -> Model {
    let (first, second) =
        ("model.layers.0.input_layernorm.weight", "model.layers.0.post_attention_layernorm.weight");
    Model::bitpack()
        .pack("model.layers.0.self_attn.q_proj.weight", 1, 2)
        .pack("model.layers.0.self_attn.k_proj.weight", 0, 8)
        .pack("model.layers.0.mlp.gate_proj.weight", 2, 0)
        .pack("model.layers.0.mlp.down_proj.weight", 1, 3)
        .without(first)
        .with(first, "F32", &[70])
        .without(second)
        .with(second, "BF16", &[70])
}

pub fn bits(report: &Report, bucket: Bucket) -> u64 {
    let entry = report.accounting.buckets.iter().find(|entry| entry.bucket == bucket);
    entry.expect("every bucket is listed").bits
}

#[test]
fn every_bit_of_a_packed_model_is_in_its_bucket() {
    let report = packed().report();
    // q_proj: 14 x 70 signs in rows of 96 bits, 14 scales, 2 x 70 codes in 35 bytes a row.
    // k_proj: 8 x 70 codes. gate_proj: 2 x 33 x 70 signs. down_proj: 67 x 33 signs in rows of 64 bits,
    // 3 x 33 codes in 17 bytes a row.
    let expected = [
        (Bucket::SignBits, 980 + 4_620 + 2_211),
        (Bucket::SignPadding, 14 * 26 + 66 * 26 + 67 * 31),
        (Bucket::Scales, 16 * (14 + 66 + 67)),
        (Bucket::RescueCodes, 4 * (140 + 560 + 99)),
        (Bucket::RescueCodePadding, 4 * 3),
        (Bucket::RescueScales, 16 * (2 + 8 + 3)),
        (Bucket::RescueRowNumbers, 32 * (2 + 8 + 3)),
        // What is left of the first layer, the second, and the weights outside.
        (Bucket::Unpacked, 16 * 4_006 + 32 * 70 + 16 * 70 + 16 * 10_446 + 16 * 1_470),
        (Bucket::OtherTensors, 0),
    ];
    for (bucket, wanted) in expected {
        assert_eq!(bits(&report, bucket), wanted, "{}", bucket.words());
    }
    let accounting = &report.accounting;
    // A second basis gives no further parameters.
    assert_eq!(accounting.binary_parameters, 980 + 2_310 + 2_211);
    assert_eq!(accounting.rescue_parameters, 140 + 560 + 99);
    assert_eq!(accounting.unpacked_parameters, PARAMETERS - 5_501 - 799);
    assert_eq!(accounting.total_bits, 8 * report.artifact.size_bytes);
    assert_eq!(accounting.bits_per_parameter, Some(accounting.total_bits as f64 / PARAMETERS as f64));
    assert_eq!(report.model.as_ref().and_then(|model| model.parameters), Some(PARAMETERS));
}

#[test]
fn a_weight_says_how_it_is_stored() {
    let report =
        packed().pack("model.layers.0.mlp.up_proj.weight", 3, 1).pack("lm_head.weight", 1, 0).report();
    let weights = [
        ("model.layers.0.self_attn.q_proj.weight", "1-bit + q4 rows", 1_120, 140, 2_224),
        ("model.layers.0.self_attn.k_proj.weight", "q4", 560, 560, 2_624),
        ("model.layers.0.mlp.gate_proj.weight", "2 x 1-bit", 2_310, 0, 7_392),
        ("model.layers.0.mlp.down_proj.weight", "1-bit + q4 rows", 2_310, 99, 5_912),
        // 3 x 32 rows of 96 bits and a scale each; 35 bytes of codes, a scale and a number.
        ("model.layers.0.mlp.up_proj.weight", "3 x 1-bit + q4 rows", 2_310, 70, 96 * 112 + 280 + 16 + 32),
        ("lm_head.weight", "1-bit", 700, 0, 10 * 112),
        ("model.layers.0.input_layernorm.weight", "F32", 70, 0, 2_240),
        ("model.layers.0.post_attention_layernorm.weight", "BF16", 70, 0, 1_120),
        ("model.embed_tokens.weight", "F16", 700, 0, 11_200),
    ];
    for (name, form, parameters, rescued, bits) in weights {
        let weight = report.weights.iter().find(|weight| weight.name == name).expect(name);
        let found = (weight.form.as_str(), weight.parameters, weight.rescue_parameters, weight.bits);
        assert_eq!(found, (form, parameters, rescued, bits), "{name}");
    }
    assert_eq!(report.weights.len(), 25);
}

#[test]
fn layers_add_up_their_weights() {
    let report = packed().report();
    let found: Vec<_> =
        report.layers.iter().map(|l| (l.layer, l.parameters, l.rescue_parameters, l.bits)).collect();
    assert_eq!(
        found,
        [(None, 1_470, 0, 23_520), (Some(0), 10_446, 799, 85_608), (Some(1), 10_446, 0, 167_136)]
    );
    let values = report.layers[1].values.as_ref().expect("the scan read them");
    assert_eq!((values.signs, values.plus, values.scales), (7_811, 2_604, 147));
    // 74 scales of 0.25 and 73 of 0.75.
    assert_eq!((values.scale_min, values.scale_max, values.scale_mean), (0.25, 0.75, 73.25 / 147.0));
    assert_eq!(values.octaves, [Octave { exponent: -2, scales: 74 }, Octave { exponent: -1, scales: 73 }]);
    assert!(report.layers[0].values.is_none() && report.layers[2].values.is_none());
}

#[test]
fn a_part_that_does_not_fit_counts_its_bits_and_nothing_else() {
    // The sign plane of q_proj as if the weight had 71 columns: as long, but of another shape.
    let scale = "model.layers.0.self_attn.q_proj.weight.scale";
    let report = packed().without(scale).with(scale, "F16", &[1, 15, 1]).report();
    let name = "model.layers.0.self_attn.q_proj.weight";
    let weight = report.weights.iter().find(|weight| weight.name == name).expect("the weight");
    let found = (weight.form.as_str(), weight.parameters, weight.rescue_parameters, weight.bits);
    assert_eq!(found, ("misfit", 0, 0, 2_224 + 16));
    assert_eq!(weight.shape, [1, 14, 12], "the stored shape of its first part");
    assert_eq!(bits(&report, Bucket::OtherTensors), 2_224 + 16);
    assert_eq!(report.layers[1].bits, 85_608 + 16);
    assert_eq!(report.layers[1].parameters, 10_446 - 1_120);
    assert_eq!(report.verdict, Verdict::NotEligible);
}

/// A GGUF file of one layer: six matrices of 256 x 256 in blocks of 128 signs and a scale, and one of the type `down` that
/// takes these `bytes`.
pub fn gguf(down: GgmlType, bytes: usize) -> Vec<u8> {
    let mut file = GgufFile::default();
    file.key("general.architecture", Meta::Text("qwen3".into()));
    let numbers = [
        ("block_count", 1),
        ("embedding_length", 256),
        ("feed_forward_length", 256),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 2),
        ("attention.key_length", 128),
        ("attention.value_length", 128),
    ];
    numbers.iter().for_each(|(key, value)| _ = file.key(&format!("qwen3.{key}"), Meta::U32(*value)));
    file.key("qwen3.attention.layer_norm_rms_epsilon", Meta::F32(1e-6));
    file.key("qwen3.rope.freq_base", Meta::F32(10_000.0));
    let q1 = vec![0; 256 * 2 * 18];
    let f32s = |count: usize| vec![0; 4 * count];
    file.tensor("token_embd.weight", &[16, 256], GgmlType::Q8_0, vec![0; 16 * 8 * 34]);
    file.tensor("output.weight", &[16, 256], GgmlType::F16, vec![0; 16 * 256 * 2]);
    file.tensor("output_norm.weight", &[256], GgmlType::F32, f32s(256));
    for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up"] {
        file.tensor(&format!("blk.0.{name}.weight"), &[256, 256], GgmlType::Q1_0, q1.clone());
    }
    file.tensor("blk.0.ffn_down.weight", &[256, 256], down, vec![0; bytes]);
    for (name, count) in [("attn_norm", 256), ("ffn_norm", 256), ("attn_q_norm", 128), ("attn_k_norm", 128)] {
        file.tensor(&format!("blk.0.{name}.weight"), &[count], GgmlType::F32, f32s(count as usize));
    }
    file.bytes()
}

#[test]
fn block_formats_count_whole_blocks() {
    let report = report(&[("m.gguf".to_owned(), gguf(GgmlType::Q8_0, 256 * 8 * 34))], Root::File);
    let found: Vec<_> = report.layers.iter().map(|l| (l.layer, l.parameters, l.bits)).collect();
    let outside = (None, 2 * 4_096 + 256, 8 * 16 * 8 * 34 + 16 * 4_096 + 32 * 256);
    let layer = (Some(0), 7 * 65_536 + 768, 6 * 8 * 512 * 18 + 8 * 2_048 * 34 + 32 * 768);
    assert_eq!(found, [outside, layer]);
    assert_eq!(bits(&report, Bucket::SignBits), 6 * 65_536);
    assert_eq!(bits(&report, Bucket::Scales), 6 * 16 * 512);
    assert_eq!(report.accounting.binary_parameters, 6 * 65_536);
    assert_eq!(report.accounting.unpacked_parameters, 65_536 + 768 + 2 * 4_096 + 256);
}
