//! config.json and the list of tensors that follows from it.

use bitgauge_core::model::{
    Architecture, Config, Decoder, LayerPart, Manifest, Presence, Quantization, Role,
};
use bitgauge_core::{Error, ErrorKind};
use serde_json::{Value, json};

/// A published size: name, hidden, MLP, layers, heads, vocabulary tied, then the counted
/// parameters and tensors of the instantiated model. All have 8 key heads of 128 channels.
const PUBLISHED: [(&str, [u64; 4], bool, u64, usize); 6] = [
    ("0.6B", [1024, 3072, 28, 16], true, 596_049_920, 310),
    ("1.7B", [2048, 6144, 28, 16], true, 1_720_574_976, 310),
    ("4B", [2560, 9728, 36, 32], true, 4_022_468_096, 398),
    ("8B", [4096, 12288, 36, 32], false, 8_190_735_360, 399),
    ("14B", [5120, 17408, 40, 40], false, 14_768_307_200, 443),
    ("32B", [5120, 25600, 64, 64], false, 32_762_123_264, 707),
];

fn config([hidden, mlp, layers, heads]: [u64; 4], tied: bool) -> Value {
    json!({
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": false,
        "head_dim": 128, "hidden_act": "silu", "hidden_size": hidden, "intermediate_size": mlp,
        "max_position_embeddings": 40960, "num_attention_heads": heads, "num_hidden_layers": layers,
        "num_key_value_heads": 8, "rms_norm_eps": 1e-6, "rope_scaling": null, "rope_theta": 1000000,
        "sliding_window": null, "tie_word_embeddings": tied, "use_sliding_window": false,
        "vocab_size": 151936
    })
}

fn small() -> Value {
    config([64, 96, 2, 16], false)
}

fn parse(value: &Value) -> Result<Config, Error> {
    Config::parse(value.to_string().as_bytes())
}

/// The small configuration with some top-level fields replaced.
fn with(fields: Value) -> Value {
    let mut config = small();
    let target = config.as_object_mut().unwrap();
    target.extend(fields.as_object().unwrap().clone());
    config
}

fn without(name: &str) -> Value {
    let mut config = small();
    config.as_object_mut().unwrap().remove(name);
    config
}

fn manifest(value: &Value) -> Manifest {
    Manifest::new(parse(value).unwrap().architecture()).unwrap()
}

#[test]
fn published_sizes_have_their_published_counts() {
    for (name, sizes, tied, parameters, tensors) in PUBLISHED {
        let manifest = manifest(&config(sizes, tied));
        assert_eq!(manifest.parameter_count(), parameters, "{name}");
        let required = manifest.tensors().iter().filter(|t| t.presence == Presence::Required).count();
        assert_eq!(required, tensors, "{name}");
        // One more layer, or the other kind of head, is noticed.
        let mut longer = sizes;
        longer[2] += 1;
        assert_ne!(manifest.parameter_count(), self::manifest(&config(longer, tied)).parameter_count());
        assert_ne!(manifest.parameter_count(), self::manifest(&config(sizes, !tied)).parameter_count());
    }
}

#[test]
fn names_shapes_and_roles() {
    let manifest = manifest(&config([1024, 3072, 28, 16], true));
    let expect = |name: &str, shape: &[u64], role: Role| {
        let tensor = manifest.get(name).unwrap_or_else(|| panic!("{name} is not expected"));
        assert_eq!((tensor.shape.as_slice(), tensor.role), (shape, role), "{name}");
    };
    let part = |layer, part| Role::Layer { layer, part };
    expect("model.embed_tokens.weight", &[151_936, 1024], Role::Embedding);
    expect("model.layers.0.self_attn.q_proj.weight", &[2048, 1024], part(0, LayerPart::QProj));
    expect("model.layers.3.self_attn.k_proj.weight", &[1024, 1024], part(3, LayerPart::KProj));
    expect("model.layers.3.self_attn.o_proj.weight", &[1024, 2048], part(3, LayerPart::OProj));
    expect("model.layers.9.self_attn.q_norm.weight", &[128], part(9, LayerPart::QNorm));
    expect("model.layers.27.mlp.down_proj.weight", &[1024, 3072], part(27, LayerPart::DownProj));
    expect("model.norm.weight", &[1024], Role::FinalNorm);
    expect("lm_head.weight", &[151_936, 1024], Role::Head);
    assert!(manifest.get("model.layers.28.mlp.down_proj.weight").is_none());
    assert_eq!(manifest.get("lm_head.weight").unwrap().presence, Presence::TiedCopy);
    assert_eq!(manifest.get("model.norm.weight").unwrap().matrix(), None);
}

#[test]
fn an_unknown_family_is_no_error() {
    let config = Config::parse(br#"{"model_type": "mamba", "d_model": 8}"#).unwrap();
    assert_eq!(config.architecture(), &Architecture::Unknown { model_type: "mamba".into() });
    assert!(Manifest::new(config.architecture()).is_none());
}

fn qwen3(value: &Value) -> Decoder {
    match parse(value).unwrap().architecture() {
        Architecture::Decoder(model) => model.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fields_that_may_be_elsewhere_or_absent() {
    assert_eq!(qwen3(&small()).rotary.theta, 1e6);
    let mut new_style = with(json!({"rope_parameters": {"rope_theta": 5e6, "rope_type": "default"}}));
    assert_eq!(qwen3(&new_style).rotary.theta, 5e6);
    new_style.as_object_mut().unwrap().remove("rope_theta");
    assert_eq!(qwen3(&new_style).rotary.theta, 5e6);

    assert_eq!(qwen3(&small()).head_dim, 128);
    assert_eq!(qwen3(&without("head_dim")).head_dim, 128);
    assert_eq!(qwen3(&with(json!({"head_dim": null}))).head_dim, 128);
    assert!(!qwen3(&without("tie_word_embeddings")).tied);
    assert_eq!(qwen3(&without("max_position_embeddings")).max_positions, None);
    let layers = json!({"layer_types": ["full_attention", "full_attention"]});
    assert_eq!(qwen3(&with(layers)), qwen3(&small()));
}

fn llama(fields: Value) -> Value {
    let mut config = json!({
        "model_type": "llama", "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 96,
        "num_attention_heads": 8, "num_hidden_layers": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
        "vocab_size": 128
    });
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    config
}

#[test]
fn llama_has_its_own_defaults() {
    let model = qwen3(&llama(json!({})));
    assert_eq!((model.head_dim, model.kv_heads, model.rotary.theta), (8, 2, 1e4));
    assert_eq!(qwen3(&llama(json!({"num_key_value_heads": null}))).kv_heads, 8);
    assert_eq!(qwen3(&llama(json!({"head_dim": 16}))).head_dim, 16);
    let names =
        |fields| manifest(&llama(fields)).tensors().iter().map(|t| t.name.clone()).collect::<Vec<_>>();
    let plain = names(json!({}));
    assert!(!plain.iter().any(|name| name.contains("q_norm") || name.contains("bias")), "{plain:?}");
    assert_eq!(plain.len(), 2 * 9 + 3);
    assert_eq!(names(json!({"attention_bias": true, "mlp_bias": true})).len(), 2 * (9 + 4 + 3) + 3);
}

/// Frequencies of Llama 3.1's published settings, head_dim 8, worked out by hand in f64.
#[test]
fn llama3_rotary_scaling() {
    let scaling = json!({"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3"});
    let model = |scaling: &Value, place: &str| {
        qwen3(&llama(json!({"head_dim": 8, "rope_theta": 5e5, place: scaling}))).rotary
    };
    // The wavelengths are 6.28, 167, 4443 and 118143: kept, kept, blended, divided by 8.
    let by_hand = [1.0, 5e5f64.powf(-0.25), 0.0, 5e5f64.powf(-0.75) / 8.0];
    let wavelength = 2.0 * std::f64::consts::PI * 5e5f64.sqrt();
    let kept = (8192.0 / wavelength - 1.0) / 3.0;
    let blended = ((1.0 - kept) / 8.0 + kept) / 5e5f64.sqrt();
    for place in ["rope_scaling", "rope_parameters"] {
        let frequencies = model(&scaling, place).frequencies();
        for (i, want) in [by_hand[0], by_hand[1], blended, by_hand[3]].into_iter().enumerate() {
            let error = (f64::from(frequencies[i]) - want).abs() / want;
            assert!(error < 1e-6, "{place} {i}: {} for {want}", frequencies[i]);
        }
    }
    let plain = model(&Value::Null, "rope_scaling").frequencies();
    assert!((plain[2] - model(&scaling, "rope_scaling").frequencies()[2]).abs() > 1e-4);

    let faulty = |name: &str, value: Value| {
        let mut scaling = scaling.clone();
        scaling[name] = value;
        parse(&llama(json!({"rope_scaling": scaling}))).unwrap_err()
    };
    assert_eq!(faulty("factor", json!(0)).kind, ErrorKind::BadValue);
    assert_eq!(faulty("low_freq_factor", json!(4)).kind, ErrorKind::BadValue);
    assert_eq!(faulty("high_freq_factor", Value::Null).kind, ErrorKind::Missing);
}

#[test]
fn quantization() {
    let packed = |fields: Value| parse(&with(json!({"quantization_config": fields})));
    let good = json!({"quant_method": "bitpack", "format_version": 1, "scale_group_size": 128,
        "rescue_group_size": 128});
    assert_eq!(parse(&small()).unwrap().quantization, Quantization::None);
    assert_eq!(packed(good.clone()).unwrap().bitpacked().unwrap().scale_group, 128);
    let other = packed(json!({"quant_method": "own", "bits": 4})).unwrap();
    assert_eq!(other.quantization, Quantization::Unknown { method: "own".into() });
    assert_eq!(other.bitpacked(), None);

    let faults = [
        ("format_version", json!(2), ErrorKind::Unsupported),
        ("format_version", json!("1"), ErrorKind::Malformed),
        ("scale_group_size", json!(16), ErrorKind::BadValue),
        ("scale_group_size", json!(null), ErrorKind::Missing),
        ("rescue_group_size", json!(32), ErrorKind::BadValue),
        ("quant_method", json!(1), ErrorKind::Malformed),
    ];
    for (name, value, kind) in faults {
        let mut fields = good.clone();
        fields[name] = value;
        let error = packed(fields).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.what.contains(&format!("`quantization_config.{name}`")), "{error}");
    }
}

#[test]
fn a_faulty_field_is_named() {
    let cases = [
        (without("model_type"), ErrorKind::Missing, "model_type"),
        (with(json!({"hidden_size": "64"})), ErrorKind::Malformed, "hidden_size"),
        (with(json!({"hidden_size": 64.5})), ErrorKind::Malformed, "hidden_size"),
        (with(json!({"num_hidden_layers": -1})), ErrorKind::Malformed, "num_hidden_layers"),
        (with(json!({"num_hidden_layers": 0})), ErrorKind::BadValue, "num_hidden_layers"),
        (with(json!({"num_hidden_layers": 5000})), ErrorKind::TooLarge, "num_hidden_layers"),
        (with(json!({"vocab_size": 1u64 << 40})), ErrorKind::TooLarge, "vocab_size"),
        (with(json!({"tie_word_embeddings": "no"})), ErrorKind::Malformed, "tie_word_embeddings"),
        (with(json!({"rms_norm_eps": 0.0})), ErrorKind::BadValue, "rms_norm_eps"),
        (with(json!({"rope_parameters": {"rope_theta": -1}})), ErrorKind::BadValue, "rope_theta"),
        (with(json!({"num_key_value_heads": 5})), ErrorKind::BadValue, "num_key_value_heads"),
        (with(json!({"head_dim": 127})), ErrorKind::BadValue, "head_dim"),
        (with(json!({"head_dim": 1 << 22})), ErrorKind::TooLarge, "head_dim"),
        (with(json!({"attention_bias": 1})), ErrorKind::Malformed, "attention_bias"),
        (with(json!({"hidden_act": "gelu"})), ErrorKind::Unsupported, "hidden_act"),
        (with(json!({"rope_scaling": {"type": "yarn"}})), ErrorKind::Missing, "rope_scaling.factor"),
        (with(json!({"layer_types": ["linear_attention"]})), ErrorKind::Unsupported, "layer_types"),
    ];
    for (config, kind, field) in cases {
        let error = parse(&config).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.what.contains(field) || error.expected.contains(field), "{field}: {error}");
        assert_eq!(error.place, "config.json");
        assert!(!error.found.is_empty(), "{error}");
    }
}

#[test]
fn bytes_that_are_no_configuration() {
    let kind = |bytes: &[u8]| Config::parse(bytes).unwrap_err().kind;
    assert_eq!(kind(b""), ErrorKind::Malformed);
    assert_eq!(kind(b"{\"model_type\": \"qwen3\""), ErrorKind::Malformed);
    assert_eq!(kind(b"[1]"), ErrorKind::Malformed);
    assert_eq!(kind(&[0xff; 8]), ErrorKind::Malformed);
    assert_eq!(kind(&"[".repeat(100_000).into_bytes()), ErrorKind::Malformed);
    assert_eq!(kind(&vec![b' '; 5 << 20]), ErrorKind::TooLarge);
}
