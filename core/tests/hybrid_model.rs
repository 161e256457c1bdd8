//! Qwen3.5's hybrid decoder: the published 27B tensor by tensor, and the ways to write its config.json.

use std::collections::BTreeMap;

use bitgauge_core::ErrorKind;
use bitgauge_core::model::{
    Architecture, Config, Decoder, DeltaNet, LayerPart, LayerType, Manifest, Role, Rotary,
};
use serde_json::{Value, json};

const CONFIG: &str = include_str!("fixtures/qwen3_6_27b.config.json");
const TENSORS: &str = include_str!("fixtures/qwen3_6_27b.tensors.txt");

fn config() -> Value {
    serde_json::from_str(CONFIG).unwrap()
}

/// The text decoder's fields at the top, as a text-only save has them.
fn flat() -> Value {
    config()["text_config"].take()
}

fn parse(config: &Value) -> Decoder {
    match Config::parse(config.to_string().as_bytes()).unwrap().architecture() {
        Architecture::Decoder(decoder) => decoder.clone(),
        other => panic!("{other:?}"),
    }
}

/// The fixture's lines under `[title]`, with every layer's tensor spelled out.
fn tensors(title: &str) -> BTreeMap<String, Vec<u64>> {
    let lines = TENSORS.lines().skip_while(|line| *line != format!("[{title}]")).skip(1);
    let mut tensors = BTreeMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let [name, shape, range] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let shape: Vec<u64> = shape.split('x').map(|dim| dim.parse().unwrap()).collect();
        if range == "-" {
            tensors.insert(name.to_owned(), shape);
            continue;
        }
        let (range, step) = range.split_once('/').unwrap_or((range, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        for layer in (first.parse::<usize>().unwrap()..=last.parse().unwrap()).step_by(step.parse().unwrap())
        {
            tensors.insert(name.replace('*', &layer.to_string()), shape.clone());
        }
    }
    tensors
}

#[test]
fn the_27b_consists_of_its_published_tensors() {
    let manifest = Manifest::of(&parse(&config()));
    let published = tensors("text decoder");
    assert_eq!((published.len(), manifest.tensors().len()), (851, 851));
    for (name, shape) in &published {
        let tensor = manifest.get(name).unwrap_or_else(|| panic!("{name} is not expected"));
        assert_eq!(&tensor.shape, shape, "{name}");
        // The same without the name of the decoder within the whole model.
        let own = name.replace("model.language_model.", "model.");
        assert_eq!(manifest.get(&own).map(|t| &t.name), Some(&tensor.name), "{own}");
    }
    assert_eq!(manifest.parameter_count(), 26_895_998_464);

    let beside = tensors("beside the text decoder");
    assert_eq!(beside.len(), 348);
    for name in beside.keys() {
        assert!(manifest.get(name).is_none() && manifest.is_beside_decoder(name), "{name}");
    }
    assert!(published.keys().all(|name| !manifest.is_beside_decoder(name)));
    assert!(manifest.get("model.language_model.model.norm.weight").is_none());
}

#[test]
fn roles_follow_the_kind_of_layer() {
    let manifest = Manifest::of(&parse(&config()));
    let role = |name: &str| manifest.get(name).map(|tensor| tensor.role);
    let layer = |layer, part| Some(Role::Layer { layer, part });
    assert_eq!(role("model.layers.2.linear_attn.A_log"), layer(2, LayerPart::DecayLog));
    assert_eq!(role("model.layers.3.self_attn.q_proj.weight"), layer(3, LayerPart::QProj));
    assert_eq!(role("model.layers.3.linear_attn.A_log"), None);
    assert_eq!(role("model.layers.2.self_attn.q_proj.weight"), None);
}

#[test]
fn every_way_to_write_the_configuration_means_the_same() {
    let nested = parse(&config());
    let sizes = DeltaNet { key_heads: 16, value_heads: 48, key_dim: 128, value_dim: 128, taps: 4 };
    assert_eq!(nested.delta_net, Some(sizes));
    assert_eq!(nested.rotary, Rotary { theta: 1e7, channels: 64, scaling: None });
    assert_eq!(nested.layers.iter().filter(|l| **l == LayerType::FullAttention).count(), 16);
    assert_eq!(nested.layers[3], LayerType::FullAttention);
    assert!(!nested.tied && nested.output_gate());

    let same = |what: &str, config: Value| assert_eq!(parse(&config), nested, "{what}");
    same("at the top", flat());
    let mut other = flat();
    other["model_type"] = "qwen3_5".into();
    same("at the top, under the outer name", other);
    let mut other = config();
    other["text_config"]["model_type"] = "qwen3_5".into();
    same("the outer name inside", other);
    let mut other = flat();
    other.as_object_mut().unwrap().remove("layer_types");
    same("only the interval", other.clone());
    other.as_object_mut().unwrap().remove("full_attention_interval");
    same("not even the interval", other);
    let mut other = flat();
    let rope = other.as_object_mut().unwrap().remove("rope_parameters").unwrap();
    other.as_object_mut().unwrap().extend(rope.as_object().unwrap().clone());
    same("the rotary fields among the others", other.clone());
    other.as_object_mut().unwrap().remove("partial_rotary_factor");
    same("no partial factor", other);
    let mut other = config();
    other["text_config"].as_object_mut().unwrap().remove("tie_word_embeddings");
    same("tying only outside", other.clone());
    other["tie_word_embeddings"] = true.into();
    assert!(!parse(&other).tied, "transformers 5 reads the inner flag alone");

    let mut other = flat();
    other["full_attention_interval"] = 2.into();
    same("a list that contradicts the interval", other.clone());
    other.as_object_mut().unwrap().remove("layer_types");
    assert_eq!(parse(&other).layers[1], LayerType::FullAttention);
}

#[test]
fn a_null_that_transformers_refuses_is_named() {
    for field in ["linear_num_key_heads", "head_dim"] {
        let mut config = config();
        config["text_config"][field] = json!(null);
        let faults = Config::parse(config.to_string().as_bytes()).unwrap().loading.faults;
        assert!(faults.len() == 1 && faults[0].contains(field), "{field}: {faults:?}");
    }
}

#[test]
fn a_faulty_field_is_named() {
    let cases = [
        ("linear_num_value_heads", json!(40), ErrorKind::BadValue),
        ("linear_num_value_heads", json!(1 << 24), ErrorKind::TooLarge),
        ("linear_key_head_dim", json!(-1), ErrorKind::Malformed),
        ("linear_conv_kernel_dim", json!(65), ErrorKind::TooLarge),
        ("layer_types", json!("full_attention"), ErrorKind::Malformed),
        ("layer_types", json!(["full_attention"]), ErrorKind::BadValue),
        ("layer_types", json!(["sliding_attention"]), ErrorKind::Unsupported),
        ("full_attention_interval", json!(0), ErrorKind::BadValue),
        ("rope_parameters", json!({"rope_theta": 1e7, "partial_rotary_factor": 1.5}), ErrorKind::BadValue),
        ("rope_parameters", json!({"rope_theta": 1e7, "rope_type": "llama3"}), ErrorKind::Missing),
    ];
    for (field, value, kind) in cases {
        let mut config = config();
        config["text_config"][field] = value.clone();
        if field == "full_attention_interval" {
            config["text_config"].as_object_mut().unwrap().remove("layer_types");
        }
        let error = Config::parse(config.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.kind, kind, "{field} {value}: {error}");
        assert_eq!(error.place, "config.json");
        let all = format!("{error}");
        assert!(
            all.contains(field) || all.contains("linear-attention heads") || all.contains("rope_parameters"),
            "{all}"
        );
    }
    let odd = json!({"rope_theta": 1e7, "partial_rotary_factor": 0.02});
    let mut config = flat();
    config["rope_parameters"] = odd;
    assert_eq!(Config::parse(config.to_string().as_bytes()).unwrap_err().kind, ErrorKind::BadValue);
}
