//! What a GGUF file says of its model, by ggml's specification and llama.cpp's keys.

mod file;
mod tokens;
mod types;

use bitgauge_core::container::{Artifact, ContainerKind, Root};
use bitgauge_core::contract::Rules;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::{Architecture, Config, RotaryScaling};
use bitgauge_core::{ErrorKind, Result, inspect};
use serde_json::{Value, json};

use crate::model::open;
use file::{File, Typed, array, flag, float, number, text};

fn open_bytes(bytes: Vec<u8>) -> Result<Artifact> {
    open(&[("m.gguf".to_owned(), bytes)], Root::File)
}

/// The error, whose kind and words are these.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, what: &str) -> bitgauge_core::Error {
    let error = result.expect_err(what);
    assert!(error.kind == kind && error.what.contains(what), "not {what}: {error}");
    error
}

#[test]
fn metadata_say_what_config_json_says() {
    let sound = json!({
        "model_type": "qwen3_5_text", "hidden_size": 768, "intermediate_size": 1_000, "num_hidden_layers": 4,
        "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 128, "vocab_size": 10,
        "max_position_embeddings": 4_096, "rms_norm_eps": 1e-6, "rope_theta": 1e7,
        "tie_word_embeddings": true, "attention_bias": false,
        "quantization_config": {"quant_method": "gguf"},
        // 32 of 128 channels turn, whatever rounding does.
        "partial_rotary_factor": 32.5 / 128.0,
        "linear_num_key_heads": 2, "linear_num_value_heads": 8, "linear_key_head_dim": 64,
        "linear_value_head_dim": 128, "linear_conv_kernel_dim": 3, "full_attention_interval": 2,
    });
    assert_eq!(File::hybrid().config().as_ref(), Ok(&sound));
    let changed = |file: File, field: &str, value: Value| {
        let mut wanted = sound.clone();
        wanted[field] = value;
        assert_eq!(file.config(), Ok(wanted), "{field}");
    };
    let without = |key: &str| File::hybrid().without(&format!("qwen35.{key}"));
    let with = |key: &str, value| File::hybrid().with(&format!("qwen35.{key}"), value);
    // What llama.cpp takes where a file does not say.
    changed(without("full_attention_interval"), "full_attention_interval", json!(4));
    changed(without("nextn_predict_layers"), "num_hidden_layers", json!(5));
    changed(without("attention.head_count_kv"), "num_key_value_heads", json!(6));
    changed(without("context_length"), "max_position_embeddings", Value::Null);
    changed(without("rope.freq_base"), "rope_theta", json!(10_000.0));
    // At most all of them.
    changed(without("rope.dimension_count"), "partial_rotary_factor", json!(1.0));
    // What is there counts.
    changed(with("attention.layer_norm_rms_epsilon", float(1e-5)), "rms_norm_eps", json!(1e-5));
    changed(
        with("attention.layer_norm_rms_epsilon", Typed(12, 0.125_f64.to_le_bytes().to_vec())),
        "rms_norm_eps",
        json!(0.125),
    );
    changed(
        with("ssm.time_step_rank", Typed(10, 8_u64.to_le_bytes().to_vec())),
        "linear_num_value_heads",
        json!(8),
    );
    changed(with("nextn_predict_layers", number(9)), "num_hidden_layers", json!(0));
    for (key, value) in [
        ("split.count", number(0)),
        ("split.count", number(1)),
        ("qwen35.rope.scaling.type", text("none")),
        ("qwen35.attention.value_length", number(128)),
    ] {
        assert_eq!(File::hybrid().with(key, value).config().as_ref(), Ok(&sound), "{key}");
    }
    let mut file = File::hybrid();
    file.add("output.weight", &[768, 10], 1, 768 * 10 * 2);
    changed(file, "tie_word_embeddings", json!(false));
    let mut file = File::hybrid();
    file.add("blk.0.attn_output.bias", &[768], 0, 768 * 4);
    changed(file, "attention_bias", json!(true));
    // Half a channel more than 16 of 32 is 16, too.
    let narrow = with("attention.key_length", number(32)).with("qwen35.rope.dimension_count", number(16));
    let config = narrow.config().expect("sound");
    assert_eq!((&config["head_dim"], &config["partial_rotary_factor"]), (&json!(32), &json!(16.5 / 32.0)));

    let plain = File::plain().config().expect("sound");
    assert_eq!((&plain["model_type"], &plain["num_hidden_layers"]), (&json!("qwen3"), &json!(4)));
    assert!(plain.get("partial_rotary_factor").is_none() && plain.get("linear_num_key_heads").is_none());
}

#[test]
fn metadata_that_can_not_be_used() {
    let with = |key: &str, value| File::hybrid().with(&format!("qwen35.{key}"), value).config();
    for key in [
        "block_count",
        "embedding_length",
        "feed_forward_length",
        "attention.head_count",
        "attention.layer_norm_rms_epsilon",
        "ssm.time_step_rank",
        "ssm.inner_size",
        "ssm.group_count",
        "ssm.state_size",
        "ssm.conv_kernel",
    ] {
        let key = format!("qwen35.{key}");
        let error = refused(File::hybrid().without(&key).config(), ErrorKind::Missing, "incomplete");
        assert!(error.place.ends_with(&key), "{key}: {error}");
    }
    let negative = Typed(5, (-1_i32).to_le_bytes().to_vec());
    refused(with("block_count", negative), ErrorKind::Malformed, "can't be used");
    refused(with("block_count", float(5.0)), ErrorKind::Malformed, "can't be used");
    refused(with("rope.freq_base", number(5)), ErrorKind::Malformed, "can't be used");
    refused(with("rope.scaling.type", text("longrope")), ErrorKind::Unsupported, "can't be used");
    refused(with("rope.scaling.type", number(0)), ErrorKind::Unsupported, "can't be used");
    refused(with("attention.value_length", number(64)), ErrorKind::Unsupported, "differ in width");
    // A long value is named by its beginning.
    let found = refused(with("block_count", text(&"é".repeat(99))), ErrorKind::Malformed, "can't be used");
    assert_eq!(found.found.chars().count(), 60, "{found}");
    // The value heads share 1,024 channels evenly.
    refused(with("ssm.time_step_rank", number(0)), ErrorKind::BadValue, "share the width evenly");
    refused(with("ssm.time_step_rank", number(7)), ErrorKind::BadValue, "share the width evenly");
    assert!(with("ssm.time_step_rank", number(1)).is_ok());
    let turning = File::plain().with("qwen3.rope.dimension_count", number(64)).config();
    refused(turning, ErrorKind::Unsupported, "only some channels");
    let mut divided = File::plain();
    divided.add("rope_freqs.weight", &[64], 1, 128);
    refused(divided.config(), ErrorKind::Unsupported, "divisors");
    let mut divided = File::plain().with("qwen3.rope.scaling.type", text("linear"));
    divided.add("rope_freqs.weight", &[64], 0, 256);
    refused(divided.config(), ErrorKind::Unsupported, "scaled twice");
    let mix = with("rope.scaling.yarn_ext_factor", float(0.5));
    assert!(mix.is_ok(), "without YaRN it says nothing");
    let mixed = File::hybrid()
        .with("qwen35.rope.scaling.type", text("yarn"))
        .with("qwen35.rope.scaling.yarn_ext_factor", float(0.5));
    refused(mixed.config(), ErrorKind::Unsupported, "mix of its own");
}

#[test]
fn rotary_scaling_in_the_words_of_config_json() {
    let with = |keys: &[(&str, Typed)]| {
        let file = keys.iter().fold(File::hybrid(), |file, (key, value)| {
            file.with(&format!("qwen35.rope.{key}"), value.clone())
        });
        file.config().expect("sound")["rope_scaling"].clone()
    };
    let yarn = || ("scaling.type", text("yarn"));
    assert_eq!(with(&[("scaling.type", text("none")), ("scaling.factor", float(4.0))]), Value::Null);
    assert_eq!(
        with(&[("scaling.type", text("linear")), ("scaling.factor", float(4.0))]),
        json!({"rope_type": "linear", "factor": 4.0})
    );
    assert_eq!(with(&[("scaling.type", text("linear"))]), Value::Null);
    assert_eq!(with(&[("scale_linear", float(2.0))]), json!({"rope_type": "linear", "factor": 2.0}));
    assert_eq!(with(&[("scale_linear", float(1.0))]), Value::Null);
    assert_eq!(
        with(&[
            yarn(),
            ("scaling.factor", float(4.0)),
            ("scaling.original_context_length", number(32_768)),
            ("scaling.yarn_beta_fast", float(16.0)),
            ("scaling.yarn_beta_slow", float(2.0)),
        ]),
        json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768,
            "beta_fast": 16.0, "beta_slow": 2.0})
    );
    // llama.cpp takes a factor of 0 for 1.
    assert_eq!(with(&[yarn(), ("scaling.factor", float(0.0))]), json!({"rope_type": "yarn", "factor": 1.0}));
    let own = with(&[
        yarn(),
        ("scaling.factor", float(4.0)),
        ("scaling.attn_factor", float(0.5)),
        ("scaling.yarn_ext_factor", float(1.0)),
    ]);
    let wanted = 0.5 * (0.1 * 4.0_f64.ln() + 1.0);
    assert!((own["attention_factor"].as_f64().expect("a number") - wanted).abs() < 1e-12, "{own}");
    // A tensor of divisors is no weight.
    let mut file = File::plain();
    file.add("rope_freqs.weight", &[64], 0, 256);
    let mut bytes = file.bytes();
    let at = bytes.len() - 256;
    (0..64).for_each(|i| bytes[at + 4 * i..][..4].copy_from_slice(&(1.0 + i as f32).to_le_bytes()));
    let artifact = open_bytes(bytes).expect("sound");
    let config = Config::parse(artifact.config.as_ref().expect("a config")).expect("sound");
    let Architecture::Decoder(decoder) = config.architecture() else { panic!("no decoder") };
    let divisors: Vec<f32> = (0..64).map(|i| 1.0 + i as f32).collect();
    assert_eq!(decoder.rotary.scaling, Some(RotaryScaling::Divided(divisors)));
    assert!(artifact.tensors.iter().all(|tensor| tensor.name != "rope_freqs.weight"));
    let header = artifact.members[0].header.as_ref().expect("a header").bytes;
    assert_eq!(header, artifact.size_bytes - artifact.tensors[0].bytes, "they count with the metadata");
    let error = Config::parse(&open_bytes(file.bytes()).expect("sound").config.expect("a config"));
    refused(error, ErrorKind::BadValue, "divisors of the rotary frequencies");
}

/// The hybrid model in three shards: the first has the metadata and no tensor.
fn shards() -> Vec<(String, File)> {
    let whole = File::hybrid();
    let shard = |number: u16, keys: Vec<(String, Typed)>| {
        let mut file = File { keys, infos: Vec::new(), alignment: 32, data: 0 };
        file.set("split.no", Typed(2, number.to_le_bytes().to_vec()));
        file.set("split.count", Typed(2, 3_u16.to_le_bytes().to_vec()));
        file
    };
    let mut shards = [shard(0, whole.keys), shard(1, Vec::new()), shard(2, Vec::new())];
    shards[1].add("token_embd.weight", &[768, 10], 1, 768 * 10 * 2);
    shards[1].add("output_norm.weight", &[1], 0, 4);
    shards[2].add("blk.0.ffn_down.weight", &[768, 2], 12, 2 * 3 * 144);
    let name = |i: usize| format!("m-{:05}-of-00003.gguf", i + 1);
    shards.into_iter().enumerate().map(|(i, shard)| (name(i), shard)).collect()
}

#[test]
fn shards_are_one_model() {
    let open_shards = |shards: &[(String, File)]| {
        let files: Vec<_> = shards.iter().map(|(name, file)| (name.clone(), file.bytes())).collect();
        open(&files, Root::Folder)
    };
    let sound = shards();
    let artifact = open_shards(&sound).expect("sound");
    let found: Vec<_> = artifact.tensors.iter().map(|t| (t.name.as_str(), t.member, t.bytes)).collect();
    let wanted = [
        ("model.embed_tokens.weight", 1, 768 * 20),
        ("model.norm.weight", 1, 4),
        ("model.layers.0.mlp.down_proj.weight", 2, 6 * 144),
    ];
    assert_eq!(found, wanted);
    let data = |i: usize| sound[i].1.header().len().next_multiple_of(32) as u64;
    assert_eq!((artifact.tensors[0].offset, artifact.tensors[2].offset), (data(1), data(2)));
    let config: Value = serde_json::from_slice(artifact.config.as_ref().expect("a config")).expect("JSON");
    assert_eq!(config, File::hybrid().config().expect("sound"));
    assert_eq!(artifact.model_dir, None, "there is no config.json");
    // The order is that of `split.no`, whatever the names.
    let mut renamed = shards();
    (renamed[0].0, renamed[2].0) = ("z.gguf".into(), "a.gguf".into());
    refused(open_shards(&renamed), ErrorKind::Malformed, "not clear which GGUF file");
    renamed.iter_mut().zip([3, 2, 1]).for_each(|((name, _), i)| *name = format!("m-{i:05}-of-00003.gguf"));
    let artifact = open_shards(&renamed).expect("sound");
    let last = &artifact.tensors[0];
    assert_eq!((last.name.as_str(), last.member), ("model.layers.0.mlp.down_proj.weight", 0));
    assert!(artifact.config.is_some_and(|config| config.starts_with(b"{")));

    let error = refused(open_shards(&shards()[1..]), ErrorKind::Missing, "split into several files");
    assert_eq!((error.expected.as_str(), error.found.as_str()), ("shard 1 of 3", "shard 2 of 3"), "{error}");
    let alone = open(&[(sound[2].0.clone(), sound[2].1.bytes())], Root::File);
    let error = refused(alone, ErrorKind::Missing, "split into several files");
    assert_eq!(error.expected, "shard 1 of 3, shard 2 of 3");
    assert_eq!(error.found, "shard 3 of 3");
    let mut double = shards();
    double[2].1.set("split.no", number(1));
    refused(open_shards(&double), ErrorKind::Malformed, "not the shards of one model");
    double[2].1.set("split.no", number(3));
    refused(open_shards(&double), ErrorKind::Malformed, "not the shards of one model");
    let mut other = shards();
    other[2].1.set("split.count", number(2));
    refused(open_shards(&other), ErrorKind::Malformed, "not the shards of one model");
    let mut twice = shards();
    twice[2].1.add("output_norm.weight", &[1], 0, 4);
    refused(open_shards(&twice), ErrorKind::Malformed, "stored in two files");
}

#[test]
fn a_folder_of_one_gguf_file_is_read_beside_its_vision_tower() {
    let plain = File::plain().bytes();
    let files = |names: &[&str]| {
        let files: Vec<_> = names.iter().map(|name| ((*name).to_owned(), plain.clone())).collect();
        open(&files, Root::Folder)
    };
    let artifact = files(&["mmproj-F16.gguf", "m.gguf"]).expect("sound");
    assert_eq!((artifact.kind, artifact.tensors[0].member), (ContainerKind::Folder, 0));
    let inventory = Inventory::of(&artifact).expect("sound");
    let report = inspect::report("folder", &inventory, Rules::Binary, None);
    let loadable = report.gates.iter().find(|gate| gate.id == "loadable").expect("a gate");
    let details = loadable.details.join("\n");
    assert!(details.contains("does not load a folder of GGUF files"), "{details}");
    refused(files(&["a.gguf", "b.gguf"]), ErrorKind::Malformed, "not clear which GGUF file");
    assert!(files(&["mmproj-F16.gguf"]).expect("a folder").gguf.is_none());
}

#[test]
fn tensors_have_the_names_of_a_checkpoint() {
    let named = |mut file: File, name: &str| {
        file.add(name, &[3, 4], 0, 48);
        let artifact = file.open().expect("sound");
        let tensor = artifact.tensors.last().expect("two tensors");
        (tensor.name.clone(), tensor.shape.clone())
    };
    let hybrid = |name| named(File::hybrid(), name).0;
    assert_eq!(hybrid("blk.0.ffn_down.weight"), "model.layers.0.mlp.down_proj.weight");
    assert_eq!(hybrid("blk.3.ssm_a"), "model.layers.3.linear_attn.A_log");
    assert_eq!(hybrid("blk.3.post_attention_norm.weight"), "model.layers.3.post_attention_layernorm.weight");
    // The layer that predicts a further token.
    assert_eq!(hybrid("blk.4.ffn_down.weight"), "mtp.blk.4.ffn_down.weight");
    assert_eq!(hybrid("blk.5.anything"), "mtp.blk.5.anything");
    assert_eq!(hybrid("blk.0.ffn_norm.weight"), "blk.0.ffn_norm.weight");
    let plain = |name| named(File::plain(), name).0;
    assert_eq!(plain("blk.4.ffn_norm.weight"), "model.layers.4.post_attention_layernorm.weight");
    assert_eq!(plain("blk.0.ssm_a"), "blk.0.ssm_a");
    // The convolution's channels have one input each.
    assert_eq!(
        named(File::hybrid(), "blk.0.ssm_conv1d.weight"),
        ("model.layers.0.linear_attn.conv1d.weight".to_owned(), vec![4, 1, 3])
    );
}

#[test]
fn values_of_every_type() {
    let scalars: [(u32, usize); 12] =
        [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (6, 4), (7, 1), (10, 8), (11, 8), (12, 8), (8, 8)];
    let mut file = File::hybrid();
    for (kind, bytes) in scalars {
        file.set(&format!("own.{kind}"), Typed(kind, vec![0; bytes]));
        file.set(&format!("own.array.{kind}"), array(kind, 3, &vec![0; 3 * bytes]));
        file.set(&format!("own.empty.{kind}"), array(kind, 0, &[]));
    }
    file.set("last", number(1));
    assert!(file.open().is_ok(), "{:?}", file.open());
    for kind in [13, 14, 255, u32::MAX] {
        let file = File { keys: Vec::new(), ..File::hybrid() }.with("own", Typed(kind, vec![0; 8]));
        let error = refused(file.open(), ErrorKind::Malformed, "unknown type");
        // Behind 24 bytes and the key.
        assert_eq!(error.offset, Some(24 + 11));
    }
    let alone = |value| File { keys: Vec::new(), ..File::hybrid() }.with("own", value).open();
    let error = refused(alone(flag(2)), ErrorKind::Malformed, "neither true nor false");
    assert_eq!(error.offset, Some(24 + 11 + 4));
    refused(alone(array(9, 0, &[])), ErrorKind::Unsupported, "arrays of arrays");
    let not_utf8 = Typed(8, [&3_u64.to_le_bytes()[..], b"a\xff\xff"].concat());
    let error = refused(alone(not_utf8), ErrorKind::Malformed, "not UTF-8");
    assert_eq!(error.offset, Some(24 + 11 + 4 + 8 + 1));
    let mut twice = File::hybrid();
    twice.keys.push(twice.keys[1].clone());
    refused(twice.open(), ErrorKind::Malformed, "key occurs twice");
}

#[test]
fn names_and_counts_up_to_their_caps() {
    let named = |len: usize| File::hybrid().with(&"k".repeat(len), number(0)).open();
    assert!(named(65_535).is_ok());
    refused(named(65_536), ErrorKind::TooLarge, "string is too long");
    let tensor = |len: usize| {
        let mut file = File::hybrid();
        file.add(&"t".repeat(len), &[1], 0, 4);
        file.open()
    };
    assert!(tensor(65_535).is_ok());
    refused(tensor(65_536), ErrorKind::TooLarge, "string is too long");
    let shaped = |dims: &[u64]| {
        let mut file = File::hybrid();
        file.add("t", dims, 0, 4);
        file.open()
    };
    assert!(shaped(&[1]).is_ok() && shaped(&[1, 1, 1, 1]).is_ok());
    refused(shaped(&[]), ErrorKind::TooLarge, "number of dimensions");
    refused(shaped(&[1; 5]), ErrorKind::TooLarge, "number of dimensions");
    let counts = |tensors: u64, keys: u64| {
        let head = [&b"GGUF"[..], &3_u32.to_le_bytes(), &tensors.to_le_bytes(), &keys.to_le_bytes()].concat();
        open_bytes(head).expect_err("nothing follows").what.clone()
    };
    let ends = "the file ends within its metadata";
    assert_eq!(counts(0, 65_536), ends);
    assert_eq!(counts(0, 65_537), "too many metadata keys");
    assert_eq!(counts(1_000_000, 0), ends);
    assert_eq!(counts(1_000_001, 0), "too many tensors");
}

#[test]
fn versions_and_the_other_byte_order() {
    let of = |version: [u8; 4]| {
        let mut bytes = File::hybrid().bytes();
        bytes[4..8].copy_from_slice(&version);
        refused(open_bytes(bytes), ErrorKind::Unsupported, "version of GGUF").found.clone()
    };
    assert_eq!(of([2, 0, 0, 0]), "2");
    assert_eq!(of([0, 0, 0, 3]), "a big-endian file");
    assert_eq!(of([0, 0, 0, 2]), "33554432");
}

#[test]
fn an_alignment_is_a_power_of_two() {
    let aligned = |alignment: u32| {
        let mut file = File { alignment: alignment.max(1) as usize, ..File::hybrid() };
        file.set("general.alignment", number(alignment));
        (file.infos, file.data) = (Vec::new(), 0);
        file.add("token_embd.weight", &[768, 1], 1, 768 * 2);
        file.add("output_norm.weight", &[1], 0, 4);
        file.open().map(|artifact| artifact.tensors[1].offset)
    };
    for alignment in [1, 2, 8, 64, 4_096, 1 << 20] {
        let offset = aligned(alignment).unwrap_or_else(|error| panic!("{alignment}: {error}"));
        assert!(offset.is_multiple_of(alignment.into()), "{alignment}");
    }
    for alignment in [0, 3, 48, 1 << 21] {
        refused(aligned(alignment), ErrorKind::BadValue, "alignment is not usable");
    }
    let flagged = File::hybrid().with("general.alignment", flag(1)).open();
    refused(flagged, ErrorKind::BadValue, "alignment is not usable");
}

#[test]
fn a_file_ends_with_its_last_tensor_and_padding() {
    let file = File::hybrid();
    let mut bytes = file.bytes();
    let sound = open_bytes(bytes.clone()).expect("sound");
    let header = file.header().len().next_multiple_of(32) as u64;
    assert_eq!((sound.tensors[0].offset, sound.tensors[0].bytes), (header, 768 * 10 * 2));
    assert_eq!(sound.members[0].header.as_ref().map(|header| header.bytes), Some(header));
    // 15,360 bytes of data end at a multiple of 32 already.
    bytes.push(0);
    refused(open_bytes(bytes.clone()), ErrorKind::BadLayout, "bytes follow the last tensor");
    bytes.truncate(bytes.len() - 2);
    refused(open_bytes(bytes), ErrorKind::Truncated, "past the end of the file");
    let mut odd = File::hybrid();
    odd.add("output_norm.weight", &[1], 0, 4);
    let with_padding = |padding: usize| {
        let mut bytes = odd.bytes();
        bytes.resize(bytes.len() + padding, 0);
        open_bytes(bytes)
    };
    let second = &odd.open().expect("sound").tensors[1];
    assert_eq!((second.offset, second.bytes), (odd.bytes().len() as u64 - 4, 4));
    assert!(with_padding(0).is_ok() && with_padding(7).is_ok() && with_padding(28).is_ok());
    let error = refused(with_padding(29), ErrorKind::BadLayout, "bytes follow the last tensor");
    assert_eq!(error.offset, Some(odd.bytes().len() as u64));
}

#[test]
fn metadata_longer_than_the_first_read_and_cut_off() {
    // Longer than two reads ahead.
    let file = File::hybrid().with("own", text(&"x".repeat(300_000)));
    assert_eq!(file.config(), File::hybrid().config());
    let header = file.header();
    for len in [4, 8, 23, 24, 200, 70_000, header.len() - 1] {
        let error =
            refused(open_bytes(header[..len].to_vec()), ErrorKind::Truncated, "ends within its metadata");
        assert!(error.offset.is_some_and(|at| at <= len as u64), "{len}: {error}");
    }
}
